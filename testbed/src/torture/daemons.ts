// The storage daemons that a blockferry has started.
import type { Ferry } from '../crash/ferry.ts';
import { descendantsRunning } from '../process/descendants.ts';

/** SIGKILL for all of them. */
export async function killStorageDaemons(ferry: Ferry): Promise<void> {
  if (ferry.pid === undefined) return;
  for (const pid of await descendantsRunning(ferry.pid, 'qemu-storage-daemon')) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}
