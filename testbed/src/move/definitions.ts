// What a domain's definitions say, apart from where one disk is: the part of them that no move may change.
import { DomainXml, sameSource } from '@blockferry/libvirt';
import type { LibvirtHost } from '../libvirt-host/host.ts';

export type DefinitionTexts = {
  /** With secrets. */
  readonly live: string;
  /** Undefined for a transient domain. */
  readonly persistent: string | undefined;
  readonly autostart: boolean;
};

/**
 * Both definitions of a domain. libvirt leaves an empty <metadata/> where an element was removed from it, and only a
 * new definition would take that away: it says nothing, and is not counted.
 */
export async function readTexts(host: LibvirtHost, domain: string): Promise<DefinitionTexts> {
  const info = await host.virsh('dominfo', domain);
  const persistent = /^Persistent: +yes$/m.test(info);
  return {
    live: withoutEmpty(await host.virsh('dumpxml', '--security-info', domain)),
    persistent: persistent
      ? withoutEmpty(await host.virsh('dumpxml', '--security-info', '--inactive', domain))
      : undefined,
    autostart: /^Autostart: +enable$/m.test(info),
  };
}

function withoutEmpty(text: string): string {
  return text.replace(/\n *<metadata\/>/, '');
}

/** The same with the place of one disk cut out: its source, its chain, and the format that belongs to it. */
export function apartFrom(disk: string, texts: DefinitionTexts): DefinitionTexts {
  const { live, persistent, autostart } = texts;
  return { live: cutPlace(disk, live), persistent: persistent && cutPlace(disk, persistent), autostart };
}

function cutPlace(target: string, text: string): string {
  const disk = DomainXml.parse(text).disk(target)?.xml;
  if (disk === undefined) throw new Error(`no disk ${target} in ${text}`);
  const cut = disk
    .replace(/^<disk type='[^']*'/, '<disk')
    .replace(/(<driver [^>]*?) type='[^']*'/, '$1')
    .replace(/\s*<source [^>]*?(\/>|>[\s\S]*?<\/source>)/, '')
    .replace(/\s*<backingStore(\/>|[\s\S]*<\/backingStore>|[^>]*\/>)/, '');
  return text.replace(disk, cut);
}

/** Do both definitions give the disk the same image, of the same format and slice? */
export function agree(disk: string, { live, persistent }: DefinitionTexts): boolean {
  if (persistent === undefined) return true;
  const [one, other] = [DomainXml.parse(live).disk(disk), DomainXml.parse(persistent).disk(disk)];
  if (one?.source === undefined || other?.source === undefined) return false;
  const slices = (at: typeof one): string => at.slices.map(({ offset, size }) => `${offset}+${size}`).join();
  return (
    sameSource(one.source, other.source) &&
    one.source.kind === other.source.kind &&
    one.driver.format === other.driver.format &&
    slices(one) === slices(other)
  );
}
