// The real command line in a process that can be told to die at an exact point. Started by ferry.ts: the first argument
// is the point (JSON, or nothing), the others are blockferry's. Adds lines of its own to those of --json.
import { main } from 'blockferry';
import { watchEffects } from './effects.ts';
import { halting } from './halting.ts';

const [point = '', ...argv] = process.argv.slice(2);
const pass = halting(point);
watchEffects((effect) => pass('effect', effect));
process.exit(await main(argv, { afterStep: (step) => pass('step-done', step) }));
