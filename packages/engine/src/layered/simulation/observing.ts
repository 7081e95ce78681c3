// What blockferry sees of the model.
import { type Claim, type LayeredWorld, LEGS } from '../../model/layered-world.ts';
import { isSwitching } from '../../model/record.ts';
import { legOf } from '../doubt.ts';
import { findRecord, isOnNext, latest, type Model, type Stored } from './model.ts';

export function observe(model: Model): LayeredWorld {
  const { qemu, images, process } = model;
  const { running } = qemu;
  if (running && model.live?.mark !== true) process.overlayFresh = false;
  const stamp = (stored: Stored | undefined) => stored && { phase: stored.phase, goal: stored.goal };
  const { move: _, ...own } = process;
  return {
    ...own,
    domain: running ? 'running' : model.persistent ? 'off' : 'gone',
    persistent: model.persistent,
    savedOn: undefined,
    live: running ? qemu.on : 'none',
    config: model.persistent ? model.config : 'none',
    job: observedJob(model),
    recorded: {
      live: running ? stamp(model.live) : 'unavailable',
      config: model.persistent ? stamp(model.inConfig) : 'unavailable',
      journal: stamp(model.journal),
    },
    sameInstance: running && model.live?.mark === true,
    overlay: claimAhead(model, images.overlay.claim, findRecord(model)?.next !== true),
    next: claimAhead(model, model.next.claim, true),
    onNext: isOnNext(model),
    unseen: unseen(model),
    growth: grown(model),
    diverging: model.outruns && !model.slowed && model.qemu.job?.leg === 'return',
    shortOfRoom: false,
    resized: undefined,
    destinationFull: false,
    carrier: images.carrier.claim,
    copyFiles: images.destination.claim,
    writtenAt: {
      ...Object.fromEntries(
        Object.entries(images).flatMap(([place, { claim, writtenAt }]) =>
          claim === 'absent' || claim === 'unknown'
            ? []
            : [[place, place === 'origin' ? latest(writtenAt, model.frozen) : writtenAt]],
        ),
      ),
      ...(model.device && model.copiedAt !== undefined && { destination: model.copiedAt }),
    },
    remains: [images.overlay, model.next, images.carrier, images.destination].some(
      ({ claim }) => claim !== 'absent' && claim !== 'unknown',
    ),
    copies: findRecord(model)?.goal === 'keep' ? 'complete' : model.copies,
    answers: 'not-asked',
    qemuWrites: qemuWrites(model),
    sourceRemains: false,
  };
}

/** Of an overlay that the guest is not known to be on; by the times of it and of the image below. */
function unseen(model: Model): LayeredWorld['unseen'] {
  const { qemu, images, next, process, persistent } = model;
  const { phase = 'freezing', next: again = false } = findRecord(model) ?? {};
  const [ahead, below] = again ? [next, images.overlay] : [images.overlay, images.origin];
  const where = qemu.running ? qemu.on : persistent ? model.config : 'none';
  const isOn = where !== 'none' && (again ? isOnNext(model) || where !== 'overlay' : where !== 'origin');
  if (isOn || !(again || phase === 'freezing')) return 'nothing';
  if (ahead.claim !== 'ours' || ahead.writes === 0) return 'nothing';
  if (qemu.running) return process.overlayFresh && model.live?.mark === true ? 'nothing' : 'both';
  return ahead.writtenAt >= below.writtenAt ? 'writes' : 'both';
}

/** Whether it was made in the end is looked at when the guest can have been on it unseen. */
function claimAhead({ qemu, halfMade }: Model, claim: Claim, isAhead: boolean): Claim {
  return halfMade && isAhead && claim === 'ours' && !qemu.running ? 'claimed' : claim;
}

function grown(model: Model): LayeredWorld['growth'] {
  const grows = model.qemu.running && (findRecord(model)?.rounds ?? 0) < model.growsTimes;
  return grows ? { overlay: 100n, before: undefined, small: 10n } : undefined;
}

function observedJob({ qemu, foreignJob }: Model): LayeredWorld['job'] {
  if (!qemu.running) return { kind: 'none' };
  if (qemu.job) return { kind: 'ours', ...qemu.job, cur: 0n, end: 0n };
  return foreignJob ? { kind: 'foreign', what: 'pull' } : { kind: 'none' };
}

function qemuWrites(model: Model): LayeredWorld['qemuWrites'] {
  if (!model.qemu.running) return 'nobody';
  const phase = findRecord(model)?.phase ?? 'freezing';
  const leg = legOf(phase);
  if (!isSwitching(phase) || leg === undefined || model.qemu.job) return 'not-asked';
  if (model.qemu.on === LEGS[leg].from) return 'origin';
  return model.qemu.on === LEGS[leg].to ? 'destination' : 'not-asked';
}
