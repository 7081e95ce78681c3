// Runs the backup client that knows nothing of us.
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';

const PROGRAM = fileURLToPath(new URL('pull-backup.py', import.meta.url));

export type PullBackup = {
  readonly domain: string;
  readonly disk: string;
  /** Raw; with `since`, the one that the last backup made: what has changed is written over it. */
  readonly file: string;
  /** Made in the same instant. */
  readonly checkpoint: string;
  readonly since?: string;
};

/** Returns how many bytes it took. @throws {RunError} with libvirt's or libnbd's words when it is refused. */
export async function pullBackup(host: LibvirtHost, backup: PullBackup): Promise<number> {
  const { domain, disk, file, checkpoint, since } = backup;
  // QEMU makes the socket, as a user of its own.
  const directory = await mkdtemp(join(host.imagesDir, 'backup-'));
  await chmod(directory, 0o777);
  const argv = [PROGRAM, host.uri, domain, disk, file, join(directory, 'socket'), checkpoint];
  // Debian's own python3, which knows python3-libvirt and python3-libnbd.
  const { stdout } = await run(['/usr/bin/python3', ...argv, ...(since === undefined ? [] : [since])]);
  await rm(directory, { recursive: true });
  return Number(stdout);
}
