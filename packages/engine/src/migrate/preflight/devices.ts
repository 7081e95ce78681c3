// What the domain has besides its disks, and must find at the destination. Read from its definition alone.
import type { DomainXml } from '@blockferry/libvirt';
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
  // What others keep in its metadata is not of the domain.
  const xml = definition.toString().replace(/<metadata>[\s\S]*<\/metadata>/, '');
  mustHaveNothingOfHost(xml, definition.name);
  const cpu = /<cpu\b[^>]*>/.exec(xml)?.[0] ?? '';
  const all = (pattern: RegExp, where = xml) => allIn(where, pattern);
  const media = definition
    .disks()
    .filter(({ readonly, device }) => readonly || device !== 'disk')
    .flatMap(({ source }) => (source?.kind === 'file' || source?.kind === 'block' ? [source.path] : []));
  // The live definition says which bridge a virtual network has here; there it may be another.
  const sources = [...xml.matchAll(/<source\b[^>]*>/g)].map(([source]) => source);
  const links = sources.filter((source) => !/\snetwork=/.test(source));
  const boot = all(/<(?:kernel|initrd|dtb)>([^<]+)</g);
  const loader = all(/<loader\b[^>]*>([^<]+)</g);
  return {
    networks: all(/<source\b[^>]*\snetwork=['"]([^'"]+)/g),
    links: all(/\s(?:bridge|dev)=['"]([^'"/]+)/g, links.join('')),
    files: [...media, ...boot, ...loader],
    ...endsOf(xml),
    machine: /<type\b[^>]*\bmachine=['"]([^'"]+)/.exec(xml)?.[1],
    arch: /<type\b[^>]*\barch=['"]([^'"]+)/.exec(xml)?.[1],
    cpuModel: /<model\b[^>]*>([^<]+)</.exec(elementOf(xml, 'cpu'))?.[1],
    hostCpu: /mode=['"]host-passthrough/.test(cpu),
  };
}

function allIn(xml: string, pattern: RegExp): string[] {
  return [...new Set([...xml.matchAll(pattern)].map(([, found]) => unescaped(found)))];
}

/** Directories that libvirt makes for a domain, with its id in their names. */
const OF_LIBVIRT = /\/libvirt\/qemu\/(channel|domain-)/;
const WITH_ENDS = /<(serial|parallel|console|channel|interface|input|graphics)\b[^>]*[^/]>[\s\S]*?<\/\1>/g;

type Ends = Pick<Needs, 'nodes' | 'made' | 'addresses'>;

/** The ends on the host that serial ports, channels, displays and the like have. */
function endsOf(xml: string): Ends {
  const ends = [...xml.matchAll(WITH_ENDS)].flatMap(([device]) => {
    const { type = '' } = attributesOf(device.slice(0, device.indexOf('>')));
    const waits = /<reconnect\b[^>]*\senabled=['"]yes/.test(device);
    const tags = [...device.matchAll(/<(source|log|listen)\b[^>]*>/g)];
    return tags.flatMap(([tag, name = '']) => endOf(name, type, attributesOf(tag), waits));
  });
  const of = (kind: keyof Ends) => ends.flatMap((end) => (end[0] === kind && end[1] ? [end[1]] : []));
  const random = allIn(xml, /<backend\b[^>]*\smodel=['"]random['"][^>]*>([^<]+)</g);
  const vsock = /<vsock\b/.test(xml) ? ['/dev/vhost-vsock'] : [];
  const foreign = (paths: readonly string[]) => [...new Set(paths)].filter((path) => !OF_LIBVIRT.test(path));
  return {
    nodes: foreign([...of('nodes'), ...random, ...vsock]),
    made: foreign(of('made')),
    addresses: [...new Set(of('addresses'))],
  };
}

/** @param waits QEMU starts without whoever it connects to */
function endOf(
  tag: string,
  type: string,
  { mode, path, host, file, dev, evdev, ...listen }: Readonly<Record<string, string>>,
  waits: boolean,
): (readonly [keyof Ends, string | undefined])[] {
  if (tag === 'log') return [['made', file]];
  if (tag === 'listen') {
    return listen.type === 'address' ? [['addresses', listen.address]] : [['made', listen.socket]];
  }
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

function attributesOf(tag: string): Record<string, string> {
  const found = tag.matchAll(/\s([\w-]+)=(?:'([^']*)'|"([^"]*)")/g);
  return Object.fromEntries([...found].map(([, name, one, other]) => [name, unescaped(one ?? other)]));
}

function elementOf(xml: string, name: string): string {
  return new RegExp(`<${name}\\b[^>]*[^/]>[\\s\\S]*?</${name}>`).exec(xml)?.[0] ?? '';
}

function unescaped(text = ''): string {
  const names: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => names[name] ?? '');
}

function mustHaveNothingOfHost(xml: string, name: string): void {
  if (/<memory\b[^>]*\smodel=['"](nvdimm|virtio-pmem)/.test(xml)) {
    throw new Refusal(
      'unsupported-storage',
      `${name} has memory that keeps what the guest writes (NVDIMM, virtio-pmem), and its file is not copied`,
      {},
      'take it out first: virsh edit, and a restart of the domain',
    );
  }
  // An interface that is one says so in its type.
  if (/<hostdev\b|<interface\b[^>]*\stype=['"]hostdev/.test(xml)) {
    throw new Refusal(
      'host-devices',
      `${name} has a device of its host (hostdev), which stays where it is`,
      {},
      'detach it first: virsh detach-device; and attach another one there',
    );
  }
  if (/<filesystem\b/.test(xml)) {
    throw new Refusal(
      'shared-directories',
      `${name} shares a directory with its host (<filesystem>)`,
      {},
      'detach it first',
    );
  }
}
