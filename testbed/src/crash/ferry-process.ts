// The real command line in a process that can be told to die at an exact point. Started by ferry.ts: the first argument
// is the point (JSON, or nothing), the others are blockferry's. Adds lines of its own to those of --json.
import { main } from 'blockferry';
import { watchEffects } from './effects.ts';
import type { Halt } from './ferry.ts';

const [point = '', ...argv] = process.argv.slice(2);
const halt = point === '' ? undefined : (JSON.parse(point) as Halt);

/** Says where it is, and stops there if that is the point. Nothing of JavaScript runs after SIGKILL or SIGSTOP. */
function pass(at: Halt['at'], name: string): void {
  process.stdout.write(`${JSON.stringify({ type: at, name })}\n`);
  if (halt?.at === at && halt.name === name) process.kill(process.pid, halt.signal ?? 'SIGKILL');
}

/** The first of a name has no number, the second `record` is `record#2`. */
function counted(): (name: string) => string {
  const seen = new Map<string, number>();
  return (name) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name}#${count}`;
  };
}

const nameStep = counted();
const nameEffect = counted();
watchEffects((effect) => pass('effect', nameEffect(effect)));
process.exit(await main(argv, { afterStep: (step) => pass('step-done', nameStep(step)) }));
