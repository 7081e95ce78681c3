// virsh blockcopy, as its manual has it for a live move of a disk.
import { join } from 'node:path';
import type { LibvirtHost } from '@blockferry/testbed';
import type { Mover } from './mover.ts';

export function virshMover(host: LibvirtHost): Mover {
  return {
    name: 'virsh blockcopy',
    command: ({ domain, directory, scope }) => ({
      argv: [
        ...['virsh', '-c', host.uri, 'blockcopy', domain, 'vda', '--dest', join(directory, 'copy.qcow2')],
        ...['--format', 'qcow2', '--transient-job', '--wait', '--pivot'],
        ...(scope === 'shallow' ? ['--shallow'] : []),
      ],
      env: {},
    }),
  };
}
