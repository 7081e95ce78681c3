// What to do when libvirt is wrong about a domain: a libvirtd that dies in the middle of a pivot can come back without
// the running domain, or with a mirror that QEMU finished long ago.
import type { Decision } from '../model/decision.ts';
import { type MoveRecord, mayHavePivoted } from '../model/record.ts';
import { unreachable } from '../model/units.ts';
import type { World } from '../model/world.ts';
import { act, definitionOn, recordPhase } from './intent.ts';

/**
 * libvirt shows our mirror, and no job. For a moment that is so after every job; if it stays, a libvirtd died while it
 * cleaned up after one. It then accepts nothing for this disk until the domain is started anew: what can be done is to
 * have the persistent definition name the image that QEMU is on, and to tell a person.
 */
export function withPhantom(world: World, move: MoveRecord): Decision {
  switch (world.qemuWrites) {
    case 'not-asked':
      return { kind: 'wait', wait: { for: 'job-end' } };
    case 'destination':
      return switched(world, move) ?? { kind: 'ask', question: 'phantom-mirror' };
    case 'origin':
      return definitionOn(world, move, move.phase, 'origin') ?? { kind: 'ask', question: 'phantom-mirror' };
    case 'both':
    case 'nobody':
    case 'unclear':
      return { kind: 'ask', question: 'phantom-mirror' };
    default:
      return unreachable(world.qemuWrites);
  }
}

/**
 * QEMU mirrors, and libvirt does not know where to: it would neither see the copy become ready nor pivot it. It can still
 * cancel it; then all is as before the copy. The phase must not be `undoing`: this cancel makes no complete copy to keep.
 */
export function withUnshown(world: World, move: MoveRecord): Decision {
  if (world.answers === 'silent') return { kind: 'wait', wait: { for: 'destination' } };
  return act(world, move, 'copying', { name: 'cancel-job' });
}

/** QEMU is on the destination, though libvirt does not say so: the next start must be from there. */
export function switched(world: World, move: MoveRecord): Decision | undefined {
  if (move.phase !== 'settling') return recordPhase(move, 'settling');
  return definitionOn(world, move, 'settling', 'destination');
}

/**
 * libvirt says that the domain does not run, and its QEMU does. Nothing may be removed, compared or answered: only the
 * definition is put right, so that the next start takes the right image, or is stopped by QEMU's lock on it.
 */
export function unknownToLibvirt(world: World, move: MoveRecord): Decision | undefined {
  const ask: Decision = { kind: 'ask', question: 'unknown-to-libvirt' };
  switch (world.qemuWrites) {
    case 'not-asked':
    case 'nobody':
      return undefined;
    case 'destination':
      return (mayHavePivoted(move) ? switched(world, move) : undefined) ?? ask;
    case 'origin':
    case 'both':
      return definitionOn(world, move, move.phase, 'origin') ?? ask;
    case 'unclear':
      return ask;
    default:
      return unreachable(world.qemuWrites);
  }
}
