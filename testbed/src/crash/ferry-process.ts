// The real command line in a process that can be told to die at exact points. Started by ferry.ts: the first argument
// is its points (JSON), the others are blockferry's. Adds lines of its own to those of --json.
import { main } from 'blockferry';
import { watchEffects } from './effects.ts';
import { halting } from './halting.ts';

const [points = '[]', ...argv] = process.argv.slice(2);
const pass = halting(points);
watchEffects((effect) => pass('effect', effect));
process.exit(await main(argv, { afterStep: (step) => pass('step-done', step) }));
