// One block job of the three that carry the guest from image to image: begin it, wait for it, finish it.
import { act, recorded } from '../decide/intent.ts';
import type { Decision, LayeredStep } from '../model/decision.ts';
import { type LayeredWorld, LEGS, type Leg } from '../model/layered-world.ts';
import type { MoveRecord, Phase } from '../model/record.ts';
import { unreachable } from '../model/units.ts';

const MAX_STARTS = 3;
/** A second apart (see startLeg): longer than QEMU rests before it connects again. */
const MAX_STARTS_WHEN_SERVED = 25;

/**
 * @param running the phase while the job runs
 * @param switching the phase from the order to switch on, in which a death of QEMU leaves doubt
 */
export function onLeg(
  world: LayeredWorld,
  move: MoveRecord,
  leg: Leg,
  running: Phase,
  switching: Phase,
): Decision<LayeredStep> {
  const { job } = world;
  if (job.kind !== 'ours') return act(world, move, running, { name: 'start-leg', leg });
  if (job.leg !== leg) return act(world, move, running, { name: 'cancel-leg', leg: job.leg });
  switch (job.state) {
    case 'running':
      return recorded(world, move, running) ?? { kind: 'wait', wait: { for: 'ready' } };
    case 'pivoting':
    case 'aborting':
      return { kind: 'wait', wait: { for: 'job-end' } };
    case 'missing':
      return withPhantom(world, move, leg);
    case 'unshown':
      return act(world, move, running, { name: 'cancel-leg', leg });
    case 'ready':
      return whenReady(world, move, leg, running, switching);
    default:
      return unreachable(job.state);
  }
}

function whenReady(
  world: LayeredWorld,
  move: MoveRecord,
  leg: Leg,
  running: Phase,
  switching: Phase,
): Decision<LayeredStep> {
  if (leg === 'switch' && move.goal === 'hold') {
    return recorded(world, move, running) ?? { kind: 'end', outcome: { kind: 'ready' } };
  }
  if (world.answers === 'silent') return { kind: 'wait', wait: { for: 'destination' } };
  return act(world, move, switching, { name: 'finish-leg', leg });
}

/**
 * libvirt shows the job's image and knows of no job. For a moment that is so after every job; if it stays, a libvirtd
 * died while it cleaned up after one, and only a new start of the domain rids it of that.
 */
function withPhantom(world: LayeredWorld, move: MoveRecord, leg: Leg): Decision<LayeredStep> {
  switch (world.qemuWrites) {
    case 'not-asked':
      return { kind: 'wait', wait: { for: 'job-end' } };
    case 'destination': {
      const place = LEGS[leg].to;
      if (world.config !== place && world.config !== 'none' && world.config !== 'elsewhere') {
        return act(world, move, move.phase, { name: 'define-on', place });
      }
      return { kind: 'ask', question: 'phantom-mirror' };
    }
    case 'origin':
    case 'both':
    case 'nobody':
    case 'unclear':
      return { kind: 'ask', question: 'phantom-mirror' };
    default:
      return unreachable(world.qemuWrites);
  }
}

/**
 * A job that failed is worth another start: its destination's server is there. QEMU learns from a request that fails that
 * its connection was cut, and connects anew for a later one.
 */
export function isServedAgain({ witnessed, answers, starts }: LayeredWorld): boolean {
  return witnessed === 'failed' && answers === 'yes' && starts < MAX_STARTS_WHEN_SERVED;
}

/** Why the leg that ended without a switch is not begun again; undefined: it may be. */
export function endedLeg(world: LayeredWorld, leg: Leg): string | undefined {
  const { lastLeg, witnessed, failure, starts } = world;
  if (lastLeg !== leg) return undefined;
  if (witnessed === 'failed') return failure ?? 'the block job failed';
  if (witnessed === 'canceled') return 'the block job was canceled by another client';
  return starts >= MAX_STARTS ? `the block job vanished ${MAX_STARTS} times` : undefined;
}
