// The copies' backing links: each byte-wise copy still names the source's backing file.
import { formatLocation, type Host, type Image, info, relinkBacking, toReference } from '@blockferry/qemu';
import type { LayerPlan } from './layer-plan.ts';

/** A copy, and the copy of the layer below it; null for the base. */
export interface Link {
  readonly image: Image;
  readonly backing: {
    readonly image: Image;
    /** The words for the header; default its absolute path or URI. A relative path is from the image's directory. */
    readonly reference?: string;
  } | null;
}

/** The links that make a chain of the copies of these layers, which are given base first. */
export function linksOf(plans: readonly LayerPlan[]): Link[] {
  return plans.map(({ to }, at) => {
    const below = plans[at - 1]?.to;
    return { image: to, backing: below ? { image: below } : null };
  });
}

/**
 * Rewrites the links that are not as they should be, and brings them to stable storage. May be repeated; after a crash
 * each is the old or the new one. No image may be in use.
 *
 * @throws QemuImgError, HostError
 */
export async function relink(host: Host, links: readonly Link[], signal?: AbortSignal): Promise<void> {
  const limits = signal ? { signal } : {};
  // None of this looks at the image below.
  await Promise.all(links.map((link) => relinkOne(host, link, limits)));
}

type Limits = { readonly signal?: AbortSignal };

async function relinkOne(host: Host, { image, backing }: Link, limits: Limits): Promise<void> {
  const reference = backing ? (backing.reference ?? toReference(backing.image)) : null;
  const format = backing?.image.format ?? null;
  const current = (await info(host, image, limits)).backing;
  const isRight = reference === (current?.reference ?? null) && format === (current?.format ?? null);
  if (!isRight && reference !== null && format !== null) {
    await relinkBacking(host, image, { reference, format }, limits);
  } else if (!isRight) {
    await relinkBacking(host, image, null, limits);
  }
  // qemu-img flushes what it writes; but the one that a crash interrupted may have been the page cache's last.
  if (image.location.kind === 'file') await sync(host, image, limits);
}

async function sync(host: Host, image: Image, limits: Limits): Promise<void> {
  const path = formatLocation(image.location);
  const { code, stderr } = await host.run(['sync', '--', path], limits);
  if (code !== 0) throw new Error(`sync ${path}: ${stderr.trim()}`);
}
