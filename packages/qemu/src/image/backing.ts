// From the backing reference in an image's header to the place it means, as QEMU itself would read it.
// (QEMU: bdrv_get_full_backing_filename and path_combine in block.c.)
import { directoryOf } from '../host/files.ts';
import { parseJsonFilename } from './json-filename.ts';
import type { Location } from './location.ts';
import { parseImageUri, protocolOf, UnknownImageName } from './uri.ts';

/** Where a backing reference leads. */
export interface BackingReference {
  readonly location: Location;
  /** Set when the reference itself says it (`json:`); else the header's own declaration counts. */
  readonly format?: string;
  readonly offset?: bigint;
  readonly size?: bigint;
  /** The reference is a path relative to the referring image. */
  readonly relative: boolean;
}

/**
 * Resolves a backing reference against the location of the image that holds it. Relative paths go from that image's
 * directory, under the name by which the image was opened. A plain path may yet turn out to be a block device: that
 * takes a look (see readChain). Throws UnknownImageName.
 */
export function resolveBackingReference(referrer: Location, reference: string): BackingReference {
  const protocol = protocolOf(reference);
  if (protocol === 'json') return { ...parseJsonFilename(reference), relative: false };
  // The file driver strips its prefix and leaves the rest to the working directory: only an absolute path has meaning.
  if (protocol === 'file' || protocol === 'host_device') {
    const path = reference.slice(protocol.length + 1);
    if (!path.startsWith('/'))
      throw new UnknownImageName(reference, 'relative to an unknown working directory');
    return { location: { kind: protocol === 'file' ? 'file' : 'block', path }, relative: false };
  }
  const location = parseImageUri(reference);
  if (location) return { location, relative: false };
  if (reference.startsWith('/')) return { location: { kind: 'file', path: reference }, relative: false };
  if (referrer.kind !== 'file' && referrer.kind !== 'block') {
    throw new UnknownImageName(reference, `relative to an image that is not a file (${referrer.kind})`);
  }
  const directory = directoryOf(referrer.path);
  const path = `${directory === '/' ? '' : directory}/${reference}`;
  return { location: { kind: 'file', path }, relative: true };
}

/**
 * The reference to write so that QEMU reads a file name relative to the referring image's directory as such, even
 * when it has a colon. Throws TypeError for an absolute one.
 */
export function toRelativeReference(relativePath: string): string {
  if (relativePath.startsWith('/')) throw new TypeError(`not a relative path: ${relativePath}`);
  return protocolOf(relativePath) === null ? relativePath : `./${relativePath}`;
}
