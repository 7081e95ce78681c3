// Disks with copy_on_read, on which QEMU commits nothing any more once a mirror has moved them.
import { isLibvirtError, MonitorError } from '@blockferry/libvirt';
import { Refusal } from '../model/errors.ts';
import { deviceOf } from '../observe/qemu-writes.ts';
import type { Situation } from './situation.ts';

/**
 * The guest's way back from an overlay is an active commit, of which libvirt has QEMU's copy-on-read filter (`libvirt-CoR-vda`)
 * as the top. A mirror that was pivoted has put its target in place of that filter, and libvirt names it all the same: QEMU
 * refuses ("is not in this backing file chain") until the domain was off (seen with libvirt 9.0, QEMU 7.2).
 *
 * @throws Refusal `copy-on-read`. Where QEMU cannot be asked, there is none.
 */
export async function mustCommitBack({ definitions, live, disk }: Situation): Promise<void> {
  if (!definitions.running || disk.driver.copyOnRead !== 'on') return;
  try {
    const inserted = await deviceOf(definitions.domain, disk.alias);
    if (inserted?.drv === undefined || inserted.drv === 'copy-on-read') return;
  } catch (error) {
    // Not allowed to us, or not known to this libvirt.
    if (error instanceof MonitorError || isLibvirtError(error)) return;
    throw error;
  }
  throw new Refusal(
    'copy-on-read',
    `${disk.target} of ${live.name} has copy_on_read and was moved by a mirror since the domain started: QEMU could not commit its overlay back`,
    {},
    'shut the domain down and start it again first',
  );
}
