// Has the disk the size that its destination was found, or made, to hold?
import { type Host, info } from '@blockferry/qemu';
import type { KnownPlace, Resized } from '../model/layered-world.ts';
import type { MoveRecord } from '../model/record.ts';
import type { Millis } from '../model/units.ts';
import { toOpenableImage } from '../storage/tls-credentials.ts';
import { toImage } from '../storage/to-image.ts';
import { imageAt } from './image-at.ts';

const ANSWER_WITHIN_MS: Millis = 3_000;

/**
 * `virsh blockresize` while the layers are copied changes the overlay alone. A file grows when what is above it is committed;
 * a slice, a device, an export or an RBD image fails that commit (seen with QEMU 7.2), and the guest would stay on the
 * carrier. QEMU refuses to resize a disk while a mirror or a commit runs, so it is asked before those. Undefined: it has the
 * right size, or that cannot be told.
 */
export async function resizedFrom(
  host: Host | undefined,
  move: MoveRecord,
  place: KnownPlace,
): Promise<Resized | undefined> {
  const { source } = move.destination;
  if (host === undefined || source.kind === 'file' || source.kind === 'other') return undefined;
  const slice = source.slices?.[0]?.size;
  // QEMU is connected by then, and many a server takes one client only: another would wait.
  if (place === 'carrier' && source.kind === 'network' && slice === undefined) return undefined;
  try {
    const sizeOf = async (image: Parameters<typeof info>[1]) =>
      (await info(host, image, { timeoutMs: ANSWER_WITHIN_MS })).virtualSize;
    const disk = await sizeOf(toImage(imageAt(move, place)));
    const destination = slice ?? (await sizeOf(await toOpenableImage(host, move.destination)));
    return disk === destination ? undefined : { disk, destination };
  } catch {
    return undefined;
  }
}
