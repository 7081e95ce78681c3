// Processes that a process started, directly or not.
import { readdir, readFile } from 'node:fs/promises';

/** Pids of all living descendants whose command line names this program. */
export async function descendantsRunning(ancestor: number, program: string): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
  const seen = await Promise.all(pids.map(look));
  const parents = new Map(seen.flatMap((each) => (each ? [[each.pid, each.parent] as const] : [])));
  const isBelow = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent !== undefined && (parent === ancestor || isBelow(parent));
  };
  return seen.flatMap((each) => (each?.argv[0]?.endsWith(program) && isBelow(each.pid) ? [each.pid] : []));
}

async function look(pid: number): Promise<{ pid: number; parent: number; argv: string[] } | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
    // The name is in parentheses and may hold anything; the state and the parent's pid come after it.
    const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { pid, parent: Number(parent), argv };
  } catch {
    return undefined; // it has ended
  }
}
