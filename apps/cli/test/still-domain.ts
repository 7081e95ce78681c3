// Domains defined by hand with virsh and started paused: their images hold still, and they cost no processor.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DiskSpec, diskXml, type LibvirtHost } from '@blockferry/testbed';

export type StillOptions = {
  /** Default true: started, paused. Off otherwise. */
  readonly running?: boolean;
  /** More elements inside <devices>. */
  readonly extraDevices?: string;
};

/** Defines a domain without an operating system, and starts it paused. */
export async function stillDomain(
  host: LibvirtHost,
  name: string,
  disks: readonly DiskSpec[],
  { running = true, extraDevices = '' }: StillOptions = {},
): Promise<void> {
  const xml = `<domain type='qemu'>
  <name>${name}</name>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    ${disks.map(diskXml).join('\n    ')}
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    ${extraDevices}
  </devices>
</domain>
`;
  const file = join(host.directory, 'guest', `${name}.xml`);
  await writeFile(file, xml);
  await host.virsh('define', file);
  if (running) await host.virsh('start', name, '--paused');
}
