// One image of a disk, the domain staying where it is: ours, and virsh blockcopy that is ended instead of pivoted.
import { join } from 'node:path';
import type { LibvirtHost } from '@blockferry/testbed';
import { blockferry } from './blockferry.ts';
import type { Mover } from './mover.ts';
import { readTold } from './told.ts';

/** @param guard as the command line takes it */
export function blockferryImager(host: LibvirtHost, guard: string): Mover {
  const env = { BLOCKFERRY_STATE_DIR: join(host.directory, 'bench-state') };
  return {
    name: guard === 'off' ? 'blockferry image' : `blockferry image, guard ${guard}`,
    command: ({ domain, directory }) => ({
      argv: [
        ...[blockferry, '-c', host.uri, 'image', domain, join(directory, 'copy.qcow2')],
        ...['--guard', guard, '--json'],
      ],
      env,
    }),
    stays: true,
    told: readTold,
  };
}

export function virshImager(host: LibvirtHost): Mover {
  return {
    name: 'virsh blockcopy --finish',
    command: ({ domain, directory }) => ({
      argv: [
        ...['virsh', '-c', host.uri, 'blockcopy', domain, 'vda', '--dest', join(directory, 'copy.qcow2')],
        ...['--format', 'qcow2', '--transient-job', '--wait', '--finish'],
      ],
      env: {},
    }),
    stays: true,
  };
}
