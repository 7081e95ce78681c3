// Looking at the machine's processes from outside.
import { readdir, readFile } from 'node:fs/promises';

/** Pids of live processes that have this text as, or in, one of their arguments. Zombies do not count. */
export async function processesWithArgument(text: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => ((await readArguments(pid)).includes(text) ? [Number(pid)] : [])),
  );
  return found.flat();
}

async function readArguments(pid: string): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it ended while we looked
  }
}
