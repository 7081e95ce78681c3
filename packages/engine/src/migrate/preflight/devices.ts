// What the domain has besides its disks, and must find at the destination. Read from its definition alone.
import type { DomainXml, XmlNode } from '@blockferry/libvirt';
import { Refusal } from '../../model/errors.ts';
import { childOf, type Ends, each, endsOf } from '../../preflight/ends.ts';

export interface Needs extends Ends {
  /** Virtual networks of libvirt. */
  readonly networks: readonly string[];
  /** Bridges and devices of the host. */
  readonly links: readonly string[];
  /** Files that QEMU opens besides the disks that are copied. */
  readonly files: readonly string[];
  readonly machine: string | undefined;
  readonly arch: string | undefined;
  /** A named CPU model. */
  readonly cpuModel: string | undefined;
  /** The host's own CPU, as it is. */
  readonly hostCpu: boolean;
}

/** @throws Refusal for devices that exist on the host at home only */
export function needsOf(definition: DomainXml): Needs {
  const devices = definition.part('devices')?.children ?? [];
  mustHaveNothingOfHost(definition, devices);
  const os = definition.part('os');
  const type = childOf(os, 'type')?.attributes;
  const cpu = definition.part('cpu');
  const media = definition
    .disks()
    .filter(({ readonly, device }) => readonly || device !== 'disk')
    .flatMap(({ source }) => (source?.kind === 'file' || source?.kind === 'block' ? [source.path] : []));
  const boot = ['kernel', 'initrd', 'dtb', 'loader'].map((name) => childOf(os, name)?.text);
  const sources = devices
    .filter(({ name }) => name === 'interface')
    .map((device) => childOf(device, 'source')?.attributes ?? {});
  // The live definition says which bridge a virtual network has here; there it may be another.
  const links = sources.flatMap(({ network, bridge, dev }) => (network === undefined ? [bridge ?? dev] : []));
  return {
    networks: each(sources.map(({ network }) => network)),
    links: each(links).filter((link) => !link.startsWith('/')),
    files: [...media, ...each(boot)],
    ...endsOf(devices),
    machine: type?.machine,
    arch: type?.arch,
    cpuModel: childOf(cpu, 'model')?.text || undefined,
    hostCpu: cpu?.attributes.mode === 'host-passthrough',
  };
}

function mustHaveNothingOfHost({ name, hasMemoryOnFiles }: DomainXml, devices: readonly XmlNode[]): void {
  const has = (kind: string, isOne: (attributes: XmlNode['attributes']) => boolean = () => true) =>
    devices.some((device) => device.name === kind && isOne(device.attributes));
  if (hasMemoryOnFiles) {
    throw new Refusal(
      'unsupported-storage',
      `${name} has memory that keeps what the guest writes (NVDIMM, virtio-pmem), and its file is not copied`,
      {},
      'take it out first: virsh edit, and a restart of the domain',
    );
  }
  // An interface that is one says so in its type.
  if (has('hostdev') || has('interface', ({ type }) => type === 'hostdev')) {
    throw new Refusal(
      'host-devices',
      `${name} has a device of its host (hostdev), which stays where it is`,
      {},
      'detach it first: virsh detach-device; and attach another one there',
    );
  }
  if (has('filesystem')) {
    throw new Refusal(
      'shared-directories',
      `${name} shares a directory with its host (<filesystem>)`,
      {},
      'detach it first',
    );
  }
}
