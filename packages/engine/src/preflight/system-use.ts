// Is a block device in use by the host itself? QEMU would write over it: it takes no exclusive hold of its disks.
import type { Host } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';

/** @throws Refusal `destination-in-use` for a device that is mounted, or that another device is made of */
export async function mustBeIdle(host: Host, path: string): Promise<void> {
  const { code, stdout } = await host.run(['lsblk', '-nrpo', 'NAME,TYPE,MOUNTPOINT', '--', path]);
  if (code !== 0) return;
  for (const [index, line] of stdout.trimEnd().split('\n').entries()) {
    const [name = '', type = '', mountpoint = ''] = line.split(' ');
    if (mountpoint !== '') throw inUse(path, `${name} is mounted at ${mountpoint}`);
    // The first line is the device itself. Partitions may be a former guest's; anything else is the host's.
    if (index > 0 && type !== 'part') throw inUse(path, `${name} (${type}) is made of it`);
  }
}

function inUse(path: string, why: string): Refusal {
  return new Refusal('destination-in-use', `${path} is used by this host: ${why}`, { path });
}
