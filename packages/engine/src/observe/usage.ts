// Who uses which image: every domain's live, persistent and saved chain on the host. Nothing is deleted without asking here.
import { dirname } from 'node:path';
import {
  type Connection,
  type DiskDefinition,
  type DiskSource,
  type Domain,
  type DomainXml,
  DomainXmlFlags,
  ErrorCode,
  isLibvirtError,
  sameSource,
} from '@blockferry/libvirt';
import { BrokenChain, type Host } from '@blockferry/qemu';
import { messageOf } from '../model/errors.ts';
import type { ImageRef } from '../model/record.ts';
import { readMetadata } from '../record/metadata.ts';
import { RecordUnreadable } from '../record/serialise.ts';
import { readDiskChain } from '../storage/disk-chain.ts';
import { toRef } from '../storage/to-image.ts';
import { ofEveryDomain } from './every-domain.ts';
import { type FileKey, fileKeys, pathOf } from './file-key.ts';
import { type Loops, readLoops } from './loop-devices.ts';
import { type Clusters, maybeSameRbdImage, readClusters } from './rbd-identity.ts';
import { placeOf, placeOnceActive, readDefinition } from './volumes.ts';

/** `saved`: what a domain that was saved (managed save) goes on with, whatever its persistent definition says by now. */
export type DefinitionKind = 'live' | 'persistent' | 'saved';

export interface Use {
  readonly domain: string;
  readonly uuid: string;
  /** Target dev of the disk. */
  readonly disk: string;
  readonly definition: DefinitionKind;
  /** `top`: the active image; `backing`: below it; `mirror`: a copy's destination. */
  readonly role: 'top' | 'backing' | 'mirror';
  readonly source: DiskSource;
  /** What the definition, or the image above it, declares it to be. */
  readonly format: string;
  /** The guest cannot write to the disk. */
  readonly isReadonly?: true;
}

export interface Usage {
  readonly uses: readonly Use[];
  /** Chains that could not be read to their end: what they use below is not known. */
  readonly unknown: readonly { readonly domain: string; readonly disk: string; readonly why: string }[];
  /** Which file stands under each path that is used or was asked for: one file may have several names. */
  readonly files: ReadonlyMap<string, FileKey>;
  readonly loops: Loops;
  /** What tells the Ceph clusters apart whose images are used or were asked for. */
  readonly clusters: Clusters;
}

/**
 * Reads all definitions. The chains of domains that are off are read from their images, where `host` can;
 * otherwise they are listed as unknown, and nobody may take absence from `uses` for "not used".
 *
 * @param sources that will be asked for: another name of such a file is then seen to be the same file
 */
export async function readUsage(
  connection: Connection,
  host: Host | undefined,
  sources: readonly DiskSource[] = [],
): Promise<Usage> {
  const found = await ofEveryDomain(connection, (domain) => usesBy(connection, host, domain));
  const uses = found.flatMap((one) => one.uses);
  const unknown = found.flatMap((one) => one.unknown);
  const nothing = { files: new Map(), loops: new Map(), clusters: new Map() };
  if (host === undefined) return { uses, unknown, ...nothing };
  const asked = [...uses.map(({ source }) => source), ...sources];
  const clusters = await readClusters(host, asked);
  try {
    const files = await fileKeys(host, asked);
    return { uses, unknown, files, loops: await readLoops(host, files.values()), clusters };
  } catch (error) {
    unknown.push({ domain: 'some domain', disk: 'some disk', why: messageOf(error) });
    return { uses, unknown, ...nothing, clusters };
  }
}

async function usesBy(
  connection: Connection,
  host: Host | undefined,
  domain: Domain,
): Promise<{ readonly uses: readonly Use[]; readonly unknown: Usage['unknown'] }> {
  const uses: Use[] = [];
  const unknown: Usage['unknown'][number][] = [];
  const both = await bothDefinitions(connection, domain);
  const saved = await savedDefinition(connection, domain).catch((error: unknown) => {
    const why = `the definition that it was saved with cannot be read: ${messageOf(error)}`;
    unknown.push({ domain: domain.name, disk: 'any disk', why });
  });
  const definitions = saved ? [...both, { definition: 'saved' as const, xml: saved }] : both;
  const live = definitions.find(({ definition }) => definition === 'live')?.xml;
  for (const { definition, xml } of definitions) {
    for (const disk of xml.disks()) {
      const found = {
        ...{ domain: xml.name, uuid: xml.uuid ?? '', disk: disk.target, definition },
        ...(disk.readonly && { isReadonly: true as const }),
      };
      const place = definition === 'live' ? placeOf : placeOnceActive;
      const chain = await wholeChain((source) => place(connection, source), host, disk, live);
      if (chain.problem !== undefined) unknown.push({ ...found, why: chain.problem });
      const mirrored = (disk.mirror?.chain ?? []).map(({ source, format }) => ({
        source,
        format: format ?? 'raw',
      }));
      const aimedAt = [...mirrored, ...intendedBy(xml, disk.target)];
      uses.push(
        ...chain.images.map((image, depth) => ({
          ...found,
          role: depth === 0 ? ('top' as const) : ('backing' as const),
          ...image,
        })),
        ...aimedAt.map((image) => ({ ...found, role: 'mirror' as const, ...image })),
      );
    }
  }
  return { uses, unknown };
}

/**
 * No definition names a device before the guest depends on it, though a move may be writing to it, nor a base that a
 * move is about to link to: its record does.
 */
function intendedBy(xml: DomainXml, target: string): readonly ImageRef[] {
  try {
    const open = readMetadata(xml, target)?.record;
    if (open?.layered === undefined) return [];
    const { shared = [] } = open.layered;
    return open.ownership.kind === 'reused' ? [open.destination, ...shared] : shared;
  } catch (error) {
    // Of a version that is not ours: its move is not ours to judge.
    if (error instanceof RecordUnreadable) return [];
    throw error;
  }
}

/** The uses of one image, under whatever name. */
export function usesOf(usage: Usage, source: DiskSource, key = keyOf(usage, source)): Use[] {
  const behind = (one: FileKey | undefined) => one && (usage.loops.get(one) ?? one);
  return usage.uses.filter(
    (use) =>
      sameSource(use.source, source) ||
      (key !== undefined && behind(keyOf(usage, use.source)) === behind(key)) ||
      maybeSameRbdImage(use.source, source, usage.clusters),
  );
}

function keyOf({ files }: Usage, source: DiskSource): FileKey | undefined {
  const path = pathOf(source);
  return path === undefined ? undefined : files.get(path);
}

/** The definitions that a domain has; none if it is gone. @throws LibvirtError */
export async function bothDefinitions(
  connection: Connection,
  domain: Domain,
): Promise<{ readonly definition: 'live' | 'persistent'; readonly xml: DomainXml }[]> {
  try {
    const [active, persistent] = await Promise.all([domain.isActive(), domain.isPersistent()]);
    const [live, config] = await Promise.all([
      active ? domain.getXmlDesc(0) : undefined,
      persistent ? domain.getXmlDesc(DomainXmlFlags.INACTIVE) : undefined,
    ]);
    return [
      ...(live === undefined
        ? []
        : [{ definition: 'live' as const, xml: await readDefinition(connection, live) }]),
      ...(config === undefined
        ? []
        : [{ definition: 'persistent' as const, xml: await readDefinition(connection, config) }]),
    ];
  } catch (error) {
    // Gone between the list and now: then it uses nothing.
    if (isLibvirtError(error, ErrorCode.NO_DOMAIN)) return [];
    throw error;
  }
}

/** Undefined: it was not saved. @throws LibvirtError when what was saved cannot be read */
export async function savedDefinition(
  connection: Connection,
  domain: Domain,
): Promise<DomainXml | undefined> {
  try {
    if (!(await domain.hasManagedSave())) return undefined;
    return await readDefinition(connection, await domain.managedSaveXml());
  } catch (error) {
    if (isLibvirtError(error, ErrorCode.NO_DOMAIN)) return undefined;
    // It was started in between.
    if (isLibvirtError(error, ErrorCode.OPERATION_INVALID)) return undefined;
    throw error;
  }
}

interface WholeChain {
  /** Top first; volumes of pools by their paths. */
  readonly images: readonly ImageRef[];
  readonly problem?: string;
}

async function wholeChain(
  placeOf: (source: DiskSource) => Promise<DiskSource>,
  host: Host | undefined,
  disk: DiskDefinition,
  live: DomainXml | undefined,
): Promise<WholeChain> {
  const images: ImageRef[] = [];
  try {
    for (const { source, format } of disk.chain) {
      images.push({ source: await placeOf(source), format: format ?? 'raw' });
    }
    const [top] = images;
    if (top === undefined || disk.chainTerminated) return { images };
    // The live definition tells the same image's chain, without opening a file.
    const known = live
      ?.disks()
      .find((other) => other.chainTerminated && other.source && sameSource(other.source, top.source));
    const told = known?.chain.slice(1).map(({ source, format }) => ({ source, format: format ?? 'raw' }));
    const below = told ?? (await backingOf(host, disk, top.source));
    // What a definition spells out, libvirt opens, whatever the headers say by now.
    const spelt = images
      .slice(1)
      .filter((image) => !below.some((one) => sameSource(one.source, image.source)));
    return { images: [top, ...spelt, ...below] };
  } catch (error) {
    const [top] = images;
    if (host !== undefined && top !== undefined && (await isGone(host, top.source, error))) return { images };
    return { images, problem: messageOf(error) };
  }
}

/**
 * A file that is not there stands on nothing. A directory that is empty or missing may be one whose storage is not mounted,
 * and a device or the target of a link may be there again with its storage: of those nobody knows.
 */
async function isGone(host: Host, top: DiskSource, error: unknown): Promise<boolean> {
  if (!(error instanceof BrokenChain) || error.why !== 'missing' || error.referrer !== null) return false;
  if (top.kind !== 'file' || top.path.startsWith('/dev/')) return false;
  try {
    if ((await host.stat(top.path, { followSymlinks: false })) !== null) return false;
    return (await host.readdir(dirname(top.path))).length > 0;
  } catch {
    return false;
  }
}

/** The images below the top, as they say themselves. @throws Error when they cannot be told */
async function backingOf(
  host: Host | undefined,
  disk: DiskDefinition,
  top: DiskSource,
): Promise<readonly ImageRef[]> {
  if ((disk.driver.format ?? 'raw') === 'raw') return [];
  if (host === undefined) throw new Error('its images cannot be read over this connection');
  const chain = await readDiskChain(host, disk, top);
  return chain.slice(1).map(({ image }) => toRef(image));
}
