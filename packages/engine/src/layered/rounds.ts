// Putting the guest on an overlay, for the first time and again: when the one it is on has grown too large for a mirror.
import { act } from '../decide/intent.ts';
import type { Decision, LayeredStep } from '../model/decision.ts';
import type { Growth, LayeredWorld } from '../model/layered-world.ts';
import type { MoveRecord, Phase } from '../model/record.ts';
import { unreachable } from '../model/units.ts';

/** A round must leave less than so many hundredths of the one before; else only synchronous writes end it. */
const SHRINKS_TO_PERCENT = 75n;
/** Each one makes the guest's chain longer by an image, until the end. */
const MOST_ROUNDS = 6;

/** What one more round needs next; undefined: the rest is for the mirror. */
export function nextRound(world: LayeredWorld, move: MoveRecord): Decision<LayeredStep> | undefined {
  if (world.job.kind !== 'none') return undefined;
  const { next, rounds = [] } = move.layered ?? {};
  if (next === undefined) {
    const due = world.growth !== undefined && rounds.length < MOST_ROUNDS && pays(world.growth);
    // Once the carrier is there, the mirror begins.
    if (!due || world.carrierFresh) return undefined;
    return act(world, move, 'copying', { name: 'record-round', round: 'planned' });
  }
  if (world.next === 'foreign') {
    return act(world, move, 'copying', { name: 'record-round', round: 'dropped' });
  }
  return world.next === 'ours'
    ? ontoOverlay(world, move, 'copying')
    : act(world, move, 'copying', { name: 'claim-files' });
}

function pays({ overlay, before, small }: Growth): boolean {
  return overlay > small && (before === undefined || overlay * 100n < before * SHRINKS_TO_PERCENT);
}

/**
 * The overlay is made. Whoever made it may have been about to put the guest on it: unless that was this process, under
 * the QEMU that runs now, QEMU is asked, for what stands in an overlay that it has left unseen must not come back.
 */
export function ontoOverlay(world: LayeredWorld, move: MoveRecord, phase: Phase): Decision<LayeredStep> {
  const fresh = world.overlayFresh && world.sameInstance;
  if (world.domain !== 'running' || fresh) return act(world, move, phase, { name: 'freeze' });
  switch (world.qemuWrites) {
    case 'origin':
    case 'nobody':
    case 'not-asked':
      return act(world, move, phase, { name: 'claim-files' });
    case 'destination':
    case 'both':
    case 'unclear':
      return { kind: 'ask', question: 'phantom-mirror' };
    default:
      return unreachable(world.qemuWrites);
  }
}
