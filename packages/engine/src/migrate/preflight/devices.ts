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
  readonly machine: string | undefined;
  readonly arch: string | undefined;
  /** A named CPU model. */
  readonly cpuModel: string | undefined;
  /** The host's own CPU, as it is. */
  readonly hostCpu: boolean;
}

/** @throws Refusal for devices that exist on the host at home only */
export function needsOf(definition: DomainXml): Needs {
  const xml = definition.toString();
  mustHaveNothingOfHost(xml, definition.name);
  const cpu = /<cpu\b[^>]*>/.exec(xml)?.[0] ?? '';
  const all = (pattern: RegExp, where = xml) => [
    ...new Set([...where.matchAll(pattern)].map(([, found]) => unescaped(found))),
  ];
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
    machine: /<type\b[^>]*\bmachine=['"]([^'"]+)/.exec(xml)?.[1],
    arch: /<type\b[^>]*\barch=['"]([^'"]+)/.exec(xml)?.[1],
    cpuModel: /<model\b[^>]*>([^<]+)</.exec(elementOf(xml, 'cpu'))?.[1],
    hostCpu: /mode=['"]host-passthrough/.test(cpu),
  };
}

function elementOf(xml: string, name: string): string {
  return new RegExp(`<${name}\\b[^>]*[^/]>[\\s\\S]*?</${name}>`).exec(xml)?.[0] ?? '';
}

function unescaped(text = ''): string {
  const names: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => names[name] ?? '');
}

function mustHaveNothingOfHost(xml: string, name: string): void {
  if (/<hostdev\b/.test(xml)) {
    throw new Refusal(
      'host-devices',
      `${name} has a device of its host (<hostdev>), which stays where it is`,
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
