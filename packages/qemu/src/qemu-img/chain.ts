// A backing chain, followed by ourselves from header to header with the format each declares, and never a guess.
import { FileError } from '../host/errors.ts';
import type { FileStat, Host } from '../host/host.ts';
import { type BackingReference, resolveBackingReference } from '../image/backing.ts';
import { imageFromJson } from '../image/json-filename.ts';
import { formatLocation, type Image, type Location, sameLocation } from '../image/location.ts';
import { UnknownImageName } from '../image/uri.ts';
import { BrokenChain, UndeclaredFormat } from './errors.ts';
import { type ImageInfo, info } from './info.ts';
import { type QuickOptions, quickLimits } from './invoke.ts';

export interface ChainImage extends Omit<ImageInfo, 'format' | 'backing'> {
  readonly image: Image;
  /** Length of the file or device in bytes; null where only its server knows. */
  readonly length: bigint | null;
  /** Identity, owner and mode of the file; null where it is none. */
  readonly stat: FileStat | null;
  /** The header's backing reference; null for the base. */
  readonly backing: {
    readonly reference: string;
    readonly format: string;
    readonly relative: boolean;
    /** False: the header says nothing of the format, and somebody else did (formatOf). */
    readonly declared: boolean;
  } | null;
}

export interface ReadChainOptions extends QuickOptions {
  /** Formats declared elsewhere (the domain's XML, the operator), for headers that declare none. */
  readonly formatOf?: (location: Location) => string | undefined;
}

/** More than any sane chain; also what ends a loop made of symlinks. */
const MAX_DEPTH = 256;

/** One image of the chain, and the next one down. */
interface Link {
  readonly chainImage: ChainImage;
  readonly next: { readonly image: Image; readonly reference: string } | null;
}

/**
 * Reads a chain, top first. Looks before it opens (a FIFO would hang, a missing file gets its name said). Reads
 * headers only, also of images in use. The deadline is for each image.
 * Throws UndeclaredFormat, BrokenChain, QemuImgError, HostError, FileError.
 */
export async function readChain(
  host: Host,
  top: Image,
  options: ReadChainOptions = {},
): Promise<[ChainImage, ...ChainImage[]]> {
  let link = await readLink(host, null, { image: top, reference: formatLocation(top.location) }, options);
  const chain: [ChainImage, ...ChainImage[]] = [link.chainImage];
  while (link.next) {
    const { image } = link.chainImage;
    const { next } = link;
    if (
      chain.length >= MAX_DEPTH ||
      chain.some((seen) => sameLocation(seen.image.location, next.image.location))
    ) {
      throw new BrokenChain('loop', {
        referrer: image,
        reference: next.reference,
        detail: 'the chain leads back into itself',
        hint: 'Correct the backing reference: qemu-img rebase -u.',
      });
    }
    link = await readLink(host, image, next, options);
    chain.push(link.chainImage);
  }
  return chain;
}

/** An image's header and what the storage tells, with the reference to its backing file as the header has it. */
export type ImageHeader = Omit<ChainImage, 'backing'> & Pick<ImageInfo, 'backing'>;

/**
 * One image alone; see readChain.
 *
 * @throws BrokenChain, QemuImgError, HostError, FileError
 */
export function readHeader(host: Host, image: Image, options: QuickOptions = {}): Promise<ImageHeader> {
  return readNode(host, null, { image, reference: formatLocation(image.location) }, options);
}

async function readNode(
  host: Host,
  referrer: Image | null,
  { image, reference }: { image: Image; reference: string },
  options: QuickOptions,
): Promise<ImageHeader> {
  const limits = quickLimits(options);
  const node = await lookAt(host, referrer, image.location, reference, limits);
  const opened: Image = { ...image, location: node.location };
  const { format: _, ...header } = await info(host, opened, limits);
  return { image: opened, length: node.length, stat: node.stat, ...header };
}

async function readLink(
  host: Host,
  referrer: Image | null,
  named: { image: Image; reference: string },
  options: ReadChainOptions,
): Promise<Link> {
  const { backing, ...facts } = await readNode(host, referrer, named, options);
  if (!backing) return { chainImage: { ...facts, backing: null }, next: null };
  const { next, relative, declared } = followBacking(facts.image, backing, options);
  const { reference } = backing;
  return {
    chainImage: { ...facts, backing: { reference, format: next.format, relative, declared } },
    next: { image: next, reference },
  };
}

/**
 * Where a header's backing reference leads, whether it is a path relative to the image's own directory, and whether the
 * header declares its format.
 *
 * @throws UndeclaredFormat, BrokenChain
 */
export function followBacking(
  image: Image,
  backing: NonNullable<ImageInfo['backing']>,
  options: Pick<ReadChainOptions, 'formatOf'>,
): { next: Image; relative: boolean; declared: boolean } {
  const { relative, ...resolved } = resolveIn(image, backing.reference);
  const next = imageFromJson(resolved, backing.format ?? options.formatOf?.(resolved.location));
  if (!next) throw new UndeclaredFormat(image, backing.reference);
  return { next, relative, declared: (resolved.format ?? backing.format ?? null) !== null };
}

function resolveIn(image: Image, reference: string): BackingReference {
  try {
    return resolveBackingReference(image.location, reference);
  } catch (error) {
    if (!(error instanceof UnknownImageName)) throw error;
    const facts = { referrer: image, reference, detail: error.message, hint: error.hint };
    throw new BrokenChain('unknown-reference', facts, { cause: error });
  }
}

interface Node {
  readonly location: Location;
  readonly stat: FileStat | null;
  readonly length: bigint | null;
}

/** Looks at the file before QEMU opens it; a plain path may be a block device's. */
async function lookAt(
  host: Host,
  referrer: Image | null,
  location: Location,
  reference: string,
  limits: QuickOptions,
): Promise<Node> {
  if (location.kind !== 'file' && location.kind !== 'block') return { location, stat: null, length: null };
  const stat = await statLink(host, referrer, location.path, reference, limits);
  if (!stat) {
    const hint = referrer
      ? 'Bring the file back, or correct the backing reference: qemu-img rebase -u.'
      : 'Check the path.';
    throw new BrokenChain('missing', {
      referrer,
      reference,
      detail: `${location.path} does not exist`,
      hint,
    });
  }
  if (stat.type === 'file')
    return { location: { kind: 'file', path: location.path }, stat, length: stat.size };
  if (stat.type === 'block') {
    const length = await host.blockDeviceSize(location.path, limits);
    return { location: { kind: 'block', path: location.path }, stat, length };
  }
  const detail = `${location.path} is no file or block device but a ${stat.type}`;
  throw new BrokenChain('not-an-image', { referrer, reference, detail, hint: 'Check the path.' });
}

async function statLink(
  host: Host,
  referrer: Image | null,
  path: string,
  reference: string,
  limits: QuickOptions,
): Promise<FileStat | null> {
  try {
    return await host.stat(path, limits);
  } catch (error) {
    if (!(error instanceof FileError) || error.code !== 'ELOOP') throw error;
    const facts = { referrer, reference, detail: error.message, hint: 'Correct the symlink.' };
    throw new BrokenChain('loop', facts, { cause: error });
  }
}
