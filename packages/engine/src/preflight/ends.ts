// What serial ports, channels, displays and the like of a domain have on its host. Read from its definition alone.
import type { XmlNode } from '@blockferry/libvirt';

/** Directories that libvirt makes for a domain, with its id in their names. */
const OF_LIBVIRT = /\/libvirt\/qemu\/(channel|domain-)/;
const WITH_ENDS = ['serial', 'parallel', 'console', 'channel', 'interface', 'input', 'graphics'];

export interface Ends {
  /** Devices, sockets and pipes of the host that QEMU opens. */
  readonly nodes: readonly string[];
  /** Files and sockets that are made there, logs for instance: their directories must be there. */
  readonly made: readonly string[];
  /** Addresses that displays and serial ports listen on. */
  readonly addresses: readonly string[];
  /** `ADDRESS:PORT` of those serial ports and the like that listen. */
  readonly ports: readonly string[];
}

/** The ends on the host that serial ports, channels, displays and the like have; none that libvirt makes by itself. */
export function endsOf(devices: readonly XmlNode[]): Ends {
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
    ports: of('ports'),
  };
}

/** @param waits QEMU starts without whoever it connects to */
function endOf(
  { name, attributes }: XmlNode,
  type: string,
  waits: boolean,
): (readonly [keyof Ends, string | undefined])[] {
  const { mode, path, host, service, file, dev, evdev } = attributes;
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
      return mode === 'bind'
        ? [
            ['addresses', host],
            ['ports', `${host}:${service}`],
          ]
        : [];
    case 'evdev':
    case 'passthrough':
      return [['nodes', dev ?? evdev]];
    default:
      return [];
  }
}

export function childOf(node: XmlNode | undefined, name: string): XmlNode | undefined {
  return node?.children.find((one) => one.name === name);
}

/** Those that there are, each once. */
export function each(found: readonly (string | undefined)[]): string[] {
  return [...new Set(found.filter((one) => one !== undefined && one !== ''))] as string[];
}
