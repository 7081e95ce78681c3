// A disk's backing chain as its images tell it, with sizes and with everyone else who uses each image. Read-only.
import {
  type Connection,
  type DiskDefinition,
  type DiskSource,
  type DomainXml,
  describeSource,
  sameSource,
} from '@blockferry/libvirt';
import type { ChainImage, Host } from '@blockferry/qemu';
import { messageOf, Refusal } from '../model/errors.ts';
import type { Bytes } from '../model/units.ts';
import { readDefinitions } from '../observe/definitions.ts';
import { readUsage, type Usage, type Use, usesOf } from '../observe/usage.ts';
import { placeOf } from '../observe/volumes.ts';
import { findDisk, findDomain } from '../preflight/situation.ts';
import type { Context } from '../run/context.ts';
import { readDiskChain } from '../storage/disk-chain.ts';
import { toSource } from '../storage/to-image.ts';

export interface ChainEntry {
  /** For people: a path or a URI. */
  readonly path: string;
  readonly format: string;
  /** Bytes the guest sees; undefined where the image could not be looked at. */
  readonly virtualSize: Bytes | undefined;
  /** Bytes its storage has allocated to it; undefined where that cannot be told. */
  readonly allocated: Bytes | undefined;
  /** Other disks, of this domain or another, that use the image; each disk once. */
  readonly usedBy: readonly Use[];
}

export interface ChainReport {
  readonly domain: string;
  readonly disk: string;
  /** Which definition the chain was read from: the live one if the domain runs. */
  readonly definition: 'live' | 'persistent';
  /** Top first. */
  readonly images: readonly ChainEntry[];
  /** Why the images could not be read; what is told then is libvirt's word alone. */
  readonly problem: string | undefined;
  /** A block job's destination. */
  readonly mirror: { readonly job: string; readonly destination: string; readonly ready: string } | undefined;
  /** The active image of the persistent definition, where it is another one than the guest runs on. */
  readonly nextBoot: string | undefined;
  /** Disks whose chains could not be read: they may use these images as well. */
  readonly unknownUses: Usage['unknown'];
}

/**
 * The chains of all disks of a domain, or of one.
 *
 * @throws Refusal `no-such-domain`, `no-such-disk`
 */
export async function inspectChains(
  context: Context,
  domain: string,
  disk: string | undefined,
): Promise<ChainReport[]> {
  const connection = await context.link.connection();
  const { uuid } = await findDomain(connection, domain);
  const definitions = await readDefinitions(connection, uuid);
  const xml = definitions?.live ?? definitions?.config;
  if (xml === undefined) throw new Refusal('no-such-domain', `there is no domain ${domain}`, { domain });
  const usage = await readUsage(connection, context.host);
  const disks =
    disk === undefined ? xml.disks().filter(({ chain }) => chain.length > 0) : [findDisk(xml, disk)];
  const reports: ChainReport[] = [];
  for (const one of disks) {
    const own = { uuid, disk: one.target };
    const { images, problem } = await imagesOf(connection, context.host, one, (source) =>
      others(usage, source, own),
    );
    reports.push({
      domain: xml.name,
      disk: one.target,
      definition: definitions?.live === undefined ? 'persistent' : 'live',
      images,
      problem,
      mirror: mirrorOf(one),
      nextBoot: nextBoot(one, definitions?.config),
      unknownUses: usage.unknown.filter(
        ({ domain: other, disk: its }) => other !== xml.name || its !== one.target,
      ),
    });
  }
  return reports;
}

async function imagesOf(
  connection: Connection,
  host: Host | undefined,
  disk: DiskDefinition,
  usedBy: (source: DiskSource) => Use[],
): Promise<Pick<ChainReport, 'images' | 'problem'>> {
  const top = disk.chain[0];
  if (top === undefined) return { images: [], problem: undefined };
  const told = (problem: string) => ({
    problem,
    images: disk.chain.map(({ source, format }) => ({
      path: describeSource(source),
      format: format ?? 'raw',
      virtualSize: undefined,
      allocated: undefined,
      usedBy: usedBy(source),
    })),
  });
  if (host === undefined) return told('this connection gives no way to look at images');
  try {
    const chain = await readDiskChain(host, disk, await placeOf(connection, top.source));
    return { problem: undefined, images: chain.map((image) => entryOf(image, usedBy)) };
  } catch (error) {
    return told(messageOf(error));
  }
}

function entryOf(image: ChainImage, usedBy: (source: DiskSource) => Use[]): ChainEntry {
  const source = toSource(image.image.location);
  return {
    path: describeSource(source),
    format: image.image.format,
    virtualSize: image.virtualSize,
    // A block device has all of its length.
    allocated: image.stat?.type === 'block' ? (image.length ?? undefined) : (image.allocated ?? undefined),
    usedBy: usedBy(source),
  };
}

function others(
  usage: Usage,
  source: DiskSource,
  own: { readonly uuid: string; readonly disk: string },
): Use[] {
  const seen = new Map<string, Use>();
  for (const use of usesOf(usage, source)) {
    if (use.uuid === own.uuid && use.disk === own.disk) continue;
    const key = `${use.uuid} ${use.disk}`;
    if (!seen.has(key)) seen.set(key, use);
  }
  return [...seen.values()];
}

function mirrorOf({ mirror }: DiskDefinition): ChainReport['mirror'] {
  if (mirror?.source === undefined) return undefined;
  return { job: mirror.job, destination: describeSource(mirror.source), ready: mirror.ready };
}

function nextBoot(disk: DiskDefinition, config: DomainXml | undefined): string | undefined {
  const source = config?.disk(disk.target)?.source;
  if (source === undefined || disk.source === undefined || sameSource(source, disk.source)) return undefined;
  return describeSource(source);
}
