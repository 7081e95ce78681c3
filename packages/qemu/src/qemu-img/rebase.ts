// `qemu-img rebase`: another backing file for an image, with or without keeping what the image shows.
import type { Host } from '../host/host.ts';
import { resolveBackingReference } from '../image/backing.ts';
import { toJsonFilename } from '../image/blockdev.ts';
import { imageFromJson } from '../image/json-filename.ts';
import type { Image } from '../image/location.ts';
import { readChain } from './chain.ts';
import {
  invoke,
  type LongOptions,
  longLimits,
  type OnProgress,
  type QuickOptions,
  quickLimits,
} from './invoke.ts';

/** A backing file in the words that go into the header, and its declared format. */
export interface NewBacking {
  readonly reference: string;
  readonly format: string;
}

/**
 * Rewrites the header's backing reference and nothing else (`-u`): right only if the new backing file has the same
 * contents, a copy of the old one for instance. Neither is opened. The image must not be in use. Safe to repeat.
 */
export async function relinkBacking(
  host: Host,
  image: Image,
  backing: NewBacking | null,
  options?: QuickOptions,
): Promise<void> {
  const args = ['-u', ...backingArguments(backing), toJsonFilename(image)];
  await invoke(host, { verb: 'rebase', images: [image], args, limits: quickLimits(options) });
}

/**
 * Changes the backing file and copies into the image whatever would otherwise look different (safe mode). Both chains
 * must declare all their formats in their headers, which is checked first: qemu-img follows them by itself. After a
 * crash the image still has the old backing file and shows the same; call it again.
 * Throws what readChain throws, before anything is changed.
 */
export async function rebase(
  host: Host,
  image: Image,
  backing: NewBacking | null,
  options: LongOptions & { readonly onProgress?: OnProgress },
): Promise<void> {
  await readChain(host, image);
  if (backing) {
    const { relative: _, ...resolved } = resolveBackingReference(image.location, backing.reference);
    await readChain(host, imageFromJson(resolved, backing.format) ?? { ...resolved, format: backing.format });
  }
  // With the backing files spelled out, qemu-img cannot resolve a relative reference any more (7.2).
  const args = [...backingArguments(backing), toJsonFilename(image, { ownBacking: true })];
  const { onProgress } = options;
  await invoke(host, { verb: 'rebase', images: [image], args, limits: longLimits(options), onProgress });
}

function backingArguments(backing: NewBacking | null): string[] {
  return backing ? ['-b', backing.reference, '-F', backing.format] : ['-b', ''];
}
