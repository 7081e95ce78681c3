// Does nobody write to the images that are compared? Asked before, and again after: nobody is kept from starting a guest.
import { type ChainImage, formatLocation, type Host, hasWriter, type Image } from '@blockferry/qemu';
import { differences, glance, type Identity } from '../layers/identity.ts';
import { Refusal } from '../model/errors.ts';
import type { Context } from '../run/context.ts';
import { Knowledge } from './knowledge.ts';

const ANSWER_WITHIN_MS = 5_000;

/** Somebody wrote to an image while it was compared, so the comparison says nothing. Nothing was touched. */
export class ImageChanged extends Error {
  override readonly name = 'ImageChanged';
  readonly hint = 'Compare again when nobody writes to it.';

  constructor(image: Image, why: string) {
    super(`${formatLocation(image.location)} was written to while it was compared: ${why}`);
  }
}

/** An image of a chain, as it was found when the chain was read. */
export type OpenedImage = Pick<ChainImage, 'image' | 'stat'>;

/** The images as they were before the comparison. */
export interface Still {
  readonly images: readonly { readonly image: OpenedImage; readonly identity: Identity }[];
  /** Images of which nobody can tell whether they are being written to. */
  readonly unsure: readonly string[];
}

/**
 * The order matters: what is written between the two looks shows in the identity, or in the lock.
 *
 * @throws Refusal `image-in-use` when somebody writes to one of them
 */
export async function mustHoldStill(
  host: Host,
  knowledge: Knowledge,
  images: readonly OpenedImage[],
): Promise<Still> {
  const identities = await Promise.all(
    images.map(async (image) => ({ image, identity: await glance(host, image.image) })),
  );
  const { written, unsure } = await writers(host, knowledge, images);
  if (written === undefined) return { images: identities, unsure };
  throw new Refusal(
    'image-in-use',
    `${formatLocation(written.image.location)} is being written to${written.by === undefined ? '' : ` by ${written.by}`}: what is compared would be out of date at once`,
    { image: formatLocation(written.image.location) },
    'of a running domain, the images below the active one can be compared: blockferry verify DOMAIN DISK IMAGE',
  );
}

/** @throws ImageChanged */
export async function mustHaveHeldStill(context: Context, host: Host, { images }: Still): Promise<void> {
  for (const { image, identity } of images) {
    const [difference] = differences('its', identity, await glance(host, image.image));
    if (difference !== undefined) throw new ImageChanged(image.image, difference);
  }
  const opened = images.map(({ image }) => image);
  const knowledge = await Knowledge.ask(
    context,
    opened.map(({ image }) => image.location),
  );
  const { written } = await writers(host, knowledge, opened);
  if (written !== undefined) {
    throw new ImageChanged(written.image, `${written.by ?? 'something'} has it open for writing now`);
  }
}

interface Writers {
  readonly written: { readonly image: Image; readonly by: string | undefined } | undefined;
  readonly unsure: readonly string[];
}

/**
 * QEMU's locks tell of files; of servers, devices and what is behind a loop device, libvirt does, as far as it is this libvirt's
 * domain: the /dev that it makes for a QEMU has nodes of its own, and locks are of a node.
 */
async function writers(host: Host, knowledge: Knowledge, images: readonly OpenedImage[]): Promise<Writers> {
  const unsure: string[] = [];
  for (const { image, stat } of images) {
    const place = { location: image.location, stat };
    const locked = await hasWriter(host, image.location, ANSWER_WITHIN_MS);
    const user = locked === 'yes' ? knowledge.runningUserOf(place) : undefined;
    const use = knowledge.writerOf(place) ?? user;
    const by = use && `${use.domain} (${use.disk})`;
    if (use !== undefined || locked === 'yes') return { written: { image, by }, unsure: [] };
    if (locked === 'unknown') unsure.push(formatLocation(image.location));
  }
  return { written: undefined, unsure };
}
