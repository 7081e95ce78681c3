// Domains whose machine is started and never runs: QEMU has their disks open, and nothing in them ever changes.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DiskSpec, diskXml, escapeXml } from '../guest/domain-xml.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';

export type IdleSpec = {
  readonly name: string;
  /** Disks, or whole <disk> elements. */
  readonly disks: readonly (DiskSpec | string)[];
  /** More elements of <domain> and of its <devices>. */
  readonly extraXml?: string;
  readonly extraDevices?: string;
  /** A flash of firmware and its variables, which libvirt makes of the template; default the code. */
  readonly firmware?: { readonly code: string; readonly nvram: string; readonly template?: string };
  /** Default `persistent`; `off`: defined and not started. */
  readonly as?: 'persistent' | 'transient' | 'off';
};

/** Half a second instead of a guest's boot. @throws {RunError} when libvirt refuses. */
export async function startIdle(host: LibvirtHost, spec: IdleSpec): Promise<void> {
  const file = join(host.directory, 'guest', `${spec.name}.xml`);
  await writeFile(file, idleXml(spec));
  if (spec.as === 'transient') {
    await host.virsh('create', '--paused', file);
    return;
  }
  await host.virsh('define', file);
  if (spec.as !== 'off') await host.virsh('start', '--paused', spec.name);
}

/** Ends the machine and forgets the domain. */
export async function removeIdle(host: LibvirtHost, name: string): Promise<void> {
  await host.virsh('destroy', name).catch(() => undefined);
  await host
    .virsh('undefine', name, '--nvram', '--managed-save', '--snapshots-metadata', '--checkpoints-metadata')
    .catch(() => undefined);
}

export function idleXml({ name, disks, extraXml, extraDevices, firmware }: IdleSpec): string {
  const loader =
    firmware === undefined
      ? ''
      : `<loader readonly='yes' type='pflash'>${escapeXml(firmware.code)}</loader>
    <nvram template='${escapeXml(firmware.template ?? firmware.code)}'>${escapeXml(firmware.nvram)}</nvram>`;
  return `<domain type='qemu'>
  <name>${escapeXml(name)}</name>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type>${loader}</os>
  <features><acpi/></features>
  ${extraXml ?? ''}
  <devices>
    ${disks.map((disk) => (typeof disk === 'string' ? disk : diskXml(disk))).join('\n    ')}
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    ${extraDevices ?? ''}
  </devices>
</domain>
`;
}
