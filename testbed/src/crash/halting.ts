// A process that says where it is, and stops itself at exact points.
import type { Halt } from './ferry.ts';

/** @param points JSON of the points. Nothing of JavaScript runs after SIGKILL or SIGSTOP. */
export function halting(points: string): (at: Halt['at'], name: string) => void {
  const halts = JSON.parse(points) as readonly Halt[];
  const counts = { 'step-done': counted(), effect: counted() };
  return (at, given) => {
    const name = counts[at](given);
    process.stdout.write(`${JSON.stringify({ type: at, name })}\n`);
    const halt = halts.find((each) => each.at === at && each.name === name);
    if (halt !== undefined) process.kill(process.pid, halt.signal ?? 'SIGKILL');
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
