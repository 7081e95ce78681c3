// Makes the RBD image that a disk is to be moved to, with QEMU's own librbd, and removes it again.
import { describeSource } from '@blockferry/libvirt';
import {
  create,
  type Host,
  QemuImgError,
  quoteCommand,
  type RbdLocation,
  rbdRemoval,
  removeRbd,
} from '@blockferry/qemu';
import { messageOf, StepFailed } from '../model/errors.ts';
import type { MoveRecord, Ownership } from '../model/record.ts';
import type { Seen } from '../observe/seen.ts';
import { toLocation } from '../storage/to-image.ts';
import type { Scene } from './act.ts';
import { record } from './record.ts';

/** A cluster that answers makes and removes images in well under a second; removal grows with what is in them. */
const CREATE_WITHIN_MS = 30_000;
const REMOVE_WITHIN_MS = 600_000;

type RbdOwnership = Ownership & { readonly kind: 'rbd-image' };

/**
 * The claim stands in the record before the image is made (librbd refuses a name that is taken), and is taken back if
 * somebody else made it first.
 *
 * @throws StepFailed
 */
export async function claimRbdImage(scene: Scene<Seen>, ownership: RbdOwnership): Promise<void> {
  const { context, move } = scene;
  const { source } = move.destination;
  if (context.host === undefined) {
    const why = `without tools on the host ${describeSource(source)} cannot be made`;
    throw new StepFailed('claim-destination', why);
  }
  await record(scene);
  const image = { location: rbdLocationOf(move), format: 'raw' };
  try {
    await create(context.host, image, ownership.capacity, { timeoutMs: CREATE_WITHIN_MS });
  } catch (error) {
    if (!(error instanceof QemuImgError)) throw error;
    const { claimed: _, ...unclaimed } = ownership;
    await record({ ...scene, move: { ...move, ownership: unclaimed } });
    throw new StepFailed('claim-destination', messageOf(error), { cause: error });
  }
}

/**
 * Removes the image that we made. Where the host has no \`rbd\`, it stays, and that is said with the command that
 * removes it. May be repeated.
 *
 * @throws StepFailed while somebody has it open
 */
export async function removeRbdImage(scene: Scene<Seen>, host: Host): Promise<void> {
  const { move, memory, warn } = scene;
  const location = rbdLocationOf(move);
  const name = describeSource(move.destination.source);
  switch (await removeRbd(host, location, REMOVE_WITHIN_MS)) {
    case 'removed':
    case 'absent':
      return;
    case 'watched':
      throw new StepFailed('discard-copy', `${name} is not removed: somebody has it open`);
    case 'no-program':
      memory.copyStays = true;
      warn('copy-not-removable', `${name} stays, for the host has no rbd program: ${removalOf(location)}`);
  }
}

/** The command that an operator types to remove an image. */
function removalOf(location: RbdLocation): string {
  return quoteCommand(rbdRemoval(location));
}

function rbdLocationOf({ destination }: MoveRecord): RbdLocation {
  const location = toLocation(destination.source);
  if (location.kind !== 'rbd') throw new TypeError(`${describeSource(destination.source)} is no RBD image`);
  return location;
}
