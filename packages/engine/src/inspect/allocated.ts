// How many bytes the storage of a destination has allocated to it, once the guest runs there.
import { LibvirtError } from '@blockferry/libvirt';
import { FileError, type Host, HostError, map, QemuImgError } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { ImageRef, MoveRecord } from '../model/record.ts';
import { type Bytes, unreachable } from '../model/units.ts';
import { readDefinitions, sideOf } from '../observe/definitions.ts';
import type { Context } from '../run/context.ts';
import { toOpenableImage } from '../storage/tls-credentials.ts';

/** It is only told at the end: nobody should wait for it. */
const WITHIN_MS = 10_000;

/**
 * Asks the storage: a file by its blocks, an NBD export and an RBD image by their data extents; all the images that a
 * move made, together. Undefined where it does not tell (block devices, which are as large as they are) or does not
 * answer.
 */
export async function allocatedBytes(context: Context, move: MoveRecord): Promise<Bytes | undefined> {
  try {
    return context.host === undefined
      ? await toldByLibvirt(context, move)
      : await allocatedToAll(context.host, move.layered?.layers.map(({ to }) => to) ?? [move.destination]);
  } catch (error) {
    const unanswered =
      error instanceof HostError ||
      error instanceof FileError ||
      error instanceof QemuImgError ||
      error instanceof Refusal ||
      error instanceof LibvirtError;
    if (unanswered) return undefined;
    throw error;
  }
}

async function allocatedToAll(host: Host, images: readonly ImageRef[]): Promise<Bytes | undefined> {
  let sum: Bytes = 0n;
  for (const image of images) {
    const bytes = await allocatedTo(host, image);
    if (bytes === undefined) return undefined;
    sum += bytes;
  }
  return sum;
}

/**
 * Bytes allocated to one image, the ones below it not counted; undefined where its storage does not tell.
 *
 * @throws FileError, HostError, QemuImgError, Refusal `unsupported-storage`
 */
export async function allocatedTo(host: Host, { source }: ImageRef): Promise<Bytes | undefined> {
  switch (source.kind) {
    case 'file':
      return (await host.stat(source.path, { timeoutMs: WITHIN_MS }))?.allocated;
    case 'network': {
      // Whatever the format, these are the bytes below it.
      const bytes = await toOpenableImage(host, { source, format: 'raw' });
      const extents = await map(host, [bytes], { timeoutMs: WITHIN_MS });
      return extents.reduce((sum, { data, length }) => (data ? sum + length : sum), 0n);
    }
    case 'block':
    case 'dir':
    case 'volume':
    case 'nvme':
    case 'vhostuser':
    case 'vhostvdpa':
    case 'other':
      return undefined;
    default:
      return unreachable(source);
  }
}

/** virDomainGetBlockInfo of a file counts its blocks too. */
async function toldByLibvirt({ link }: Context, move: MoveRecord): Promise<Bytes | undefined> {
  if (move.destination.source.kind !== 'file' || move.layered !== undefined) return undefined;
  const definitions = await readDefinitions(await link.connection(), move.domain.uuid);
  if (definitions === undefined || sideOf(definitions.live, move) !== 'destination') return undefined;
  return (await definitions.domain.blockInfo(move.disk)).allocation;
}
