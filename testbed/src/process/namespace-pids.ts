// Finds out which process of a PID namespace is which process seen from outside.
import { readdir, readFile, readlink } from 'node:fs/promises';

/** The pid seen from here of the process that calls itself `innerPid` in the PID namespace of `initPid`. */
export async function outerPid(initPid: number, innerPid: number): Promise<number | undefined> {
  const namespace = await readlink(`/proc/${initPid}/ns/pid`);
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const status = await readFile(`/proc/${entry}/status`, 'latin1');
      const pids = /^NSpid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
      if (pids.length < 2 || Number(pids.at(-1)) !== innerPid) continue;
      if ((await readlink(`/proc/${entry}/ns/pid`)) === namespace) return Number(entry);
    } catch {
      // It ended while we looked.
    }
  }
  return undefined;
}

/**
 * Is there a process with this pid that still runs (a zombie does not)? One that was killed becomes a zombie when its
 * first thread has ended; its files are open and locked until the last one has.
 */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'latin1');
    return !/^State:\s+[ZX]/m.test(status) || !/^Threads:\s+[01]$/m.test(status);
  } catch {
    return false;
  }
}
