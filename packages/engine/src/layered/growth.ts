// How the overlay has grown while the layers below it were copied.
import type { Growth } from '../model/layered-world.ts';
import type { ImageRef, MoveRecord } from '../model/record.ts';
import type { Bytes } from '../model/units.ts';
import type { Memory } from '../observe/memory.ts';
import type { Seen } from '../observe/seen.ts';
import type { Context } from '../run/context.ts';
import { layeredPart } from './image-at.ts';

/** Freezing costs the guest tens of milliseconds, and a commit at the end: for less than this it does not pay. */
const LEAST: Bytes = 16n << 20n;
/** What a mirror moves in so much time is left to the mirror. */
const MIRROR_SECONDS = 2n;

/**
 * Undefined where there is to be no round: the domain is off, or has checkpoints, whose bitmaps would have to be carried
 * through each overlay.
 */
export async function growthOf(
  { host }: Context,
  move: MoveRecord,
  { definitions }: Seen,
  memory: Memory,
): Promise<Growth | undefined> {
  if (host === undefined || definitions === undefined || !definitions.running) return undefined;
  const { overlay, rounds } = layeredPart(move);
  const allocated = async ({ source }: ImageRef) =>
    source.kind === 'file' ? (await host.stat(source.path))?.allocated : undefined;
  const last = rounds?.at(-1)?.from;
  const [now, before] = [await allocated(overlay), last && (await allocated(last))];
  const mirrored = (memory.layered.rate ?? 0n) * MIRROR_SECONDS;
  const small = mirrored > LEAST ? mirrored : LEAST;
  if (now === undefined || now <= small) return undefined;
  return (await definitions.domain.listAllCheckpoints()).length > 0
    ? undefined
    : { overlay: now, before, small };
}
