// A process that says where it is, and stops itself at an exact point.
import type { Halt } from './ferry.ts';

/** @param point JSON of the point, or nothing. Nothing of JavaScript runs after SIGKILL or SIGSTOP. */
export function halting(point: string): (at: Halt['at'], name: string) => void {
  const halt = point === '' ? undefined : (JSON.parse(point) as Halt);
  const counts = { 'step-done': counted(), effect: counted() };
  return (at, given) => {
    const name = counts[at](given);
    process.stdout.write(`${JSON.stringify({ type: at, name })}\n`);
    if (halt?.at === at && halt.name === name) process.kill(process.pid, halt.signal ?? 'SIGKILL');
  };
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
