// Looking at the machine's processes from outside.
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { expect, vi } from 'vitest';

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

/** Waits until no process with this text among its arguments is left. */
export function noProcessWithArgument(text: string): Promise<void> {
  const check = async () => expect(await processesWithArgument(text)).toEqual([]);
  return vi.waitFor(check, { timeout: 15_000, interval: 50 });
}

/** A text that no other process has among its arguments. */
export const uniqueMark = () => `mark-${process.pid}-${randomBytes(6).toString('hex')}`;
