// A destination that exists must be what the copy expects: size, format, and for a shallow copy its backing chain.

import { describeSource } from '@blockferry/libvirt';
import {
  type ChainImage,
  type Host,
  HostError,
  type ImageInfo,
  info,
  map,
  QemuImgError,
  readChain,
  sameLocation,
} from '@blockferry/qemu';
import { messageOf, Refusal } from '../model/errors.ts';
import type { ImageRef } from '../model/record.ts';
import { fileKeyOf } from '../observe/file-key.ts';
import { tlsDirectory, toOpenableImage } from '../storage/tls-credentials.ts';
import { toRef } from '../storage/to-image.ts';
import type { Destination } from './destination.ts';
import { isEncrypted } from './encryption.ts';
import { ANSWER_WITHIN_MS, answered, silent } from './look.ts';
import type { MoveRequest } from './request.ts';
import type { Situation } from './situation.ts';

/** Reads the image's tables; empty ones are small, and where they are not, it is not empty. */
const MAP_WITHIN_MS = 60_000;

/**
 * @returns the destination, with the slice that a larger block device needs
 * @throws Refusal
 */
export async function checkReused(
  host: Host,
  situation: Situation,
  request: MoveRequest,
  destination: Destination,
  name: string,
): Promise<Destination> {
  const { image } = destination;
  const header = await headerOf(host, destination, name);
  checkEncryption(destination, header, name);
  const { clusterSize, virtualSize } = header;
  const fitting = {
    ...fit(situation, request, destination, virtualSize, name),
    ...(clusterSize !== null && { clusterSize }),
  };
  if (image.format === 'raw') return fitting;
  const have = await chainOf(host, destination, name);
  checkBacking(situation, request, have, name);
  if (request.scope === 'shallow' && situation.chain?.[1] !== undefined) await mustBeEmpty(host, have, name);
  return fitting;
}

/**
 * Without tools on the host nobody can tell whether a shallow copy would stand on the right chain, nor what a name in /dev
 * stands for: libvirt unlinks a character device.
 */
export function mustNotBeBlind(
  { disk }: Situation,
  { scope }: MoveRequest,
  { ownership, image: { source } }: Destination,
  name: string,
): void {
  if (source.kind === 'file' && source.path.startsWith('/dev/')) {
    throw new Refusal(
      'destination-unchecked',
      `over this connection nobody can tell what ${name} is`,
      {},
      "use a connection over ssh; or say that it is a block device: --dest-xml with <disk type='block'>",
    );
  }
  if (ownership.kind !== 'reused' || scope !== 'shallow' || disk.chain.length < 2) return;
  throw new Refusal(
    'destination-unchecked',
    `over this connection the backing chain of ${name} cannot be looked at: with a wrong one, data would read as zeros`,
    {},
    'use a connection over ssh, or leave --reuse-external out',
  );
}

async function headerOf(host: Host, { image }: Destination, name: string): Promise<ImageInfo> {
  try {
    return await info(host, await toOpenableImage(host, image), { timeoutMs: ANSWER_WITHIN_MS });
  } catch (error) {
    if (error instanceof HostError && error.code === 'timeout') throw silent(name, messageOf(error));
    if (!(error instanceof QemuImgError)) throw error;
    const kind = isEncrypted(image)
      ? `${image.format} image with LUKS, made beforehand`
      : `${image.format} image`;
    const server = image.source.kind === 'network' ? ', and is its server running' : '';
    const hint = (await tlsHint(host, image, messageOf(error))) ?? `is it a ${kind}${server}?`;
    throw new Refusal('destination-unusable', messageOf(error), {}, hint, { cause: error });
  }
}

async function tlsHint(host: Host, { source }: ImageRef, said: string): Promise<string | undefined> {
  if (source.kind !== 'network' || source.protocol !== 'nbd') return undefined;
  if (source.tls !== true) {
    const isWanted = said.includes('TLS negotiation required');
    return isWanted ? "the server wants TLS: nbds://…, or tls='yes' in its <source>" : undefined;
  }
  const directory = await tlsDirectory(host, 'nbd');
  return `does it want TLS, do its certificate and those in ${directory} go together, and is its certificate made for the name it is called by? ?tls-hostname=NAME says another`;
}

/** A plain image would get in plain what is encrypted; one that is not would not even open. */
function checkEncryption({ image }: Destination, { encryption }: ImageInfo, name: string): void {
  if (isEncrypted(image) === (encryption !== null)) return;
  throw encryption === null
    ? new Refusal(
        'encrypted',
        `the disk is encrypted, and ${name} is not`,
        {},
        'make it with LUKS beforehand',
      )
    : new Refusal(
        'encrypted',
        `${name} is encrypted (${encryption}), and nothing says with which secret`,
        {},
        'name it by --dest-xml, with <encryption> in its <source>',
      );
}

/** A mirror needs equal sizes (libvirt fails late, with "Copy failed"); a larger device is used up to that size. */
function fit(
  { capacity }: Situation,
  request: MoveRequest,
  destination: Destination,
  size: bigint,
  name: string,
): Destination {
  if (size === capacity) return destination;
  const { image } = destination;
  // A slice of what is inside LUKS is nothing that libvirt has words for.
  const canSlice = image.source.kind === 'block' || image.source.kind === 'network';
  const larger = image.format === 'raw' && canSlice && !isEncrypted(image) && size > capacity;
  if (larger && request.destinationXml === undefined) {
    const source = { ...image.source, slices: [{ offset: 0n, size: capacity }] };
    return { ...destination, image: { ...image, source } };
  }
  if (canSlice && size < capacity && image.format === 'raw') {
    const why = `${name} has ${size} bytes, the disk has ${capacity}`;
    throw new Refusal(
      'size-differs',
      why,
      { have: size, need: capacity },
      'give one that is as large, or larger',
    );
  }
  const slice = `<slices><slice type='storage' offset='0' size='${capacity}'/></slices>`;
  throw new Refusal(
    'size-differs',
    `${name} has ${size} bytes, the disk has ${capacity}: a mirror needs them equal`,
    { have: size, need: capacity },
    larger
      ? `put ${slice} into its <source>`
      : image.format === 'raw'
        ? 'grow or recreate it to exactly that size'
        : `recreate it: qemu-img create -f ${image.format} … ${capacity}`,
  );
}

async function chainOf(
  host: Host,
  { image }: Destination,
  name: string,
): Promise<readonly [ChainImage, ...ChainImage[]]> {
  const limits = { timeoutMs: ANSWER_WITHIN_MS };
  try {
    return await answered(name, readChain(host, await toOpenableImage(host, image), limits));
  } catch (error) {
    if (error instanceof Refusal) throw error;
    const why = `the chain of ${name} cannot be read: ${messageOf(error)}`;
    throw new Refusal('destination-chain', why, {}, undefined, { cause: error });
  }
}

/** libvirt takes an image without the right backing file, reports success, and the base's data reads as zeros. */
function checkBacking(
  { chain }: Situation,
  { scope }: MoveRequest,
  [, actual]: readonly ChainImage[],
  name: string,
): void {
  const expected = scope === 'shallow' ? chain?.[1] : undefined;
  if (expected === undefined && actual === undefined) return;
  if (expected !== undefined && actual !== undefined && sameImage(expected, actual)) return;
  const want = expected === undefined ? 'no backing file' : `the backing file ${describe(expected)}`;
  const has = actual === undefined ? 'none' : describe(actual);
  throw new Refusal(
    'backing-differs',
    `${name} must have ${want}, and has ${has}: data would read as zeros or as another disk's`,
    { want, has },
    'correct it with qemu-img rebase -u, or leave --reuse-external out',
  );
}

/** One file, under whatever name, and read in one format. */
function sameImage(one: ChainImage, other: ChainImage): boolean {
  if (one.image.format !== other.image.format) return false;
  if (sameLocation(one.image.location, other.image.location)) return true;
  return one.stat !== null && other.stat !== null && fileKeyOf(one.stat) === fileKeyOf(other.stat);
}

function describe({ image }: ChainImage): string {
  return `${describeSource(toRef(image).source)} (${image.format})`;
}

/**
 * A shallow mirror copies what the active image has and leaves the rest of the destination as it is, so that data
 * that stands there already would cover the base's. (Seen with QEMU 7.2: sync=top does not clear its target.)
 */
async function mustBeEmpty(
  host: Host,
  [top]: readonly [ChainImage, ...ChainImage[]],
  name: string,
): Promise<void> {
  const extents = await map(host, [top.image], { timeoutMs: MAP_WITHIN_MS });
  if (extents.every(({ present }) => !present)) return;
  throw new Refusal(
    'destination-not-empty',
    `${name} holds data of its own, which would cover that of the shared chain`,
    {},
    `recreate it: qemu-img create -f ${top.image.format} -b … -F … ${name}`,
  );
}
