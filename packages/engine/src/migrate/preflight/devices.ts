// What the domain has besides its disks, and must find at the destination. Read from its definition alone.
import type { DomainXml, XmlNode } from '@blockferry/libvirt';
import { Refusal } from '../../model/errors.ts';

export interface Needs {
  /** Virtual networks of libvirt. */
  readonly networks: readonly string[];
  /** Bridges and devices of the host. */
  readonly links: readonly string[];
  /** Files that QEMU opens besides the disks that are copied. */
  readonly files: readonly string[];
  /** Devices, sockets and pipes of the host that QEMU opens. */
  readonly nodes: readonly string[];
  /** Files and sockets that are made there, logs for instance: their directories must be there. */
  readonly made: readonly string[];
  /** Addresses that displays and serial ports listen on. */
  readonly addresses: readonly string[];
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

function childOf(node: XmlNode | undefined, name: string): XmlNode | undefined {
  return node?.children.find((one) => one.name === name);
}

/** Those that there are, each once. */
function each(found: readonly (string | undefined)[]): string[] {
  return [...new Set(found.filter((one) => one !== undefined && one !== ''))] as string[];
}

/** Directories that libvirt makes for a domain, with its id in their names. */
const OF_LIBVIRT = /\/libvirt\/qemu\/(channel|domain-)/;
const WITH_ENDS = ['serial', 'parallel', 'console', 'channel', 'interface', 'input', 'graphics'];

type Ends = Pick<Needs, 'nodes' | 'made' | 'addresses'>;

/** The ends on the host that serial ports, channels, displays and the like have. */
function endsOf(devices: readonly XmlNode[]): Ends {
  const ends = devices
    .filter(({ name }) => WITH_ENDS.includes(name))
    .flatMap((device) => {
      const waits = childOf(childOf(device, 'source'), 'reconnect')?.attributes.enabled === 'yes';
      return device.children.flatMap((one) => endOf(one, device.attributes.type ?? '', waits));
    });
  const of = (kind: keyof Ends) => each(ends.flatMap(([whose, end]) => (whose === kind ? [end] : [])));
  const backends = devices.map((device) => childOf(device, 'backend'));
  const random = backends.map((one) => (one?.attributes.model === 'random' ? one.text : undefined));
  const vsock = devices.some(({ name }) => name === 'vsock') ? ['/dev/vhost-vsock'] : [];
  const foreign = (paths: readonly string[]) => paths.filter((path) => !OF_LIBVIRT.test(path));
  return {
    nodes: foreign(each([...of('nodes'), ...random, ...vsock])),
    made: foreign(of('made')),
    addresses: of('addresses'),
  };
}

/** @param waits QEMU starts without whoever it connects to */
function endOf(
  { name, attributes }: XmlNode,
  type: string,
  waits: boolean,
): (readonly [keyof Ends, string | undefined])[] {
  const { mode, path, host, file, dev, evdev } = attributes;
  if (name === 'log') return [['made', file]];
  if (name === 'listen') {
    return attributes.type === 'address'
      ? [['addresses', attributes.address]]
      : [['made', attributes.socket]];
  }
  if (name !== 'source') return [];
  const connects = mode === 'connect' || mode === 'client';
  switch (type) {
    case 'file':
      return [['made', path]];
    case 'dev':
    case 'pipe':
      return [['nodes', path]];
    case 'unix':
    case 'vhostuser':
      if (connects && waits) return [];
      return [[connects ? 'nodes' : 'made', path]];
    case 'tcp':
    case 'udp':
      return mode === 'bind' ? [['addresses', host]] : [];
    case 'evdev':
    case 'passthrough':
      return [['nodes', dev ?? evdev]];
    default:
      return [];
  }
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
