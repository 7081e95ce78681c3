// Who uses which image: every domain's live and persistent chain on the host. Nothing is deleted without asking here.
import {
  type Connection,
  type DiskSource,
  DomainXml,
  DomainXmlFlags,
  ErrorCode,
  isLibvirtError,
  sameSource,
} from '@blockferry/libvirt';
import { type Host, readChain } from '@blockferry/qemu';
import { messageOf } from '../model/errors.ts';
import type { ImageRef } from '../model/record.ts';
import { toImage, toSource } from '../storage/to-image.ts';

export interface Use {
  readonly domain: string;
  readonly uuid: string;
  /** Target dev of the disk. */
  readonly disk: string;
  readonly definition: 'live' | 'persistent';
  /** `top`: the active image; `backing`: below it; `mirror`: a copy's destination. */
  readonly role: 'top' | 'backing' | 'mirror';
  readonly source: DiskSource;
}

export interface Usage {
  readonly uses: readonly Use[];
  /** Chains that could not be read to their end: what they use below is not known. */
  readonly unknown: readonly { readonly domain: string; readonly disk: string; readonly why: string }[];
}

/**
 * Reads all definitions. The chains of domains that are off are read from their images, where `host` can;
 * otherwise they are listed as unknown, and nobody may take absence from `uses` for "not used".
 */
export async function readUsage(connection: Connection, host: Host | undefined): Promise<Usage> {
  const uses: Use[] = [];
  const unknown: Usage['unknown'][number][] = [];
  for (const domain of await connection.listAllDomains()) {
    const definitions = await bothDefinitions(domain);
    const live = definitions.find(({ definition }) => definition === 'live')?.xml;
    for (const { definition, xml } of definitions) {
      for (const disk of xml.disks()) {
        const found = { domain: xml.name, uuid: xml.uuid ?? '', disk: disk.target, definition };
        disk.chain.forEach((image, depth) => {
          uses.push({ ...found, role: depth === 0 ? 'top' : 'backing', source: image.source });
        });
        for (const image of disk.mirror?.chain ?? [])
          uses.push({ ...found, role: 'mirror', source: image.source });
        const top = disk.chain[0];
        if (disk.chainTerminated || top === undefined || disk.device !== 'disk') continue;
        // The live definition tells the same image's chain, without opening a file.
        const known = live
          ?.disks()
          .find((other) => other.chainTerminated && other.source && sameSource(other.source, top.source));
        const ref = { source: top.source, format: top.format ?? 'raw' };
        const below = known?.chain.slice(1).map(({ source }) => source) ?? (await backingOf(host, ref));
        if (typeof below === 'string') unknown.push({ domain: xml.name, disk: disk.target, why: below });
        else uses.push(...below.map((source): Use => ({ ...found, role: 'backing', source })));
      }
    }
  }
  return { uses, unknown };
}

/** The uses of one image. */
export function usesOf(usage: Usage, source: DiskSource): Use[] {
  return usage.uses.filter((use) => sameSource(use.source, source));
}

type SomeDomain = Awaited<ReturnType<Connection['listAllDomains']>>[number];

async function bothDefinitions(
  domain: SomeDomain,
): Promise<{ readonly definition: Use['definition']; readonly xml: DomainXml }[]> {
  try {
    const [active, persistent] = await Promise.all([domain.isActive(), domain.isPersistent()]);
    const [live, config] = await Promise.all([
      active ? domain.getXmlDesc(0) : undefined,
      persistent ? domain.getXmlDesc(DomainXmlFlags.INACTIVE) : undefined,
    ]);
    return [
      ...(live === undefined ? [] : [{ definition: 'live' as const, xml: DomainXml.parse(live) }]),
      ...(config === undefined ? [] : [{ definition: 'persistent' as const, xml: DomainXml.parse(config) }]),
    ];
  } catch (error) {
    // Gone between the list and now: then it uses nothing.
    if (isLibvirtError(error, ErrorCode.NO_DOMAIN)) return [];
    throw error;
  }
}

/** The images below the top, or why they cannot be told. */
async function backingOf(host: Host | undefined, ref: ImageRef): Promise<readonly DiskSource[] | string> {
  if (ref.format === 'raw') return [];
  if (host === undefined) return 'its images cannot be read over this connection';
  try {
    const chain = await readChain(host, toImage(ref));
    return chain.slice(1).map((entry) => toSource(entry.image.location));
  } catch (error) {
    return messageOf(error);
  }
}
