// What is seen of the model.
import { type MoveRecord, mayHavePivoted } from '../model/record.ts';
import type { Side, Stamp, World } from '../model/world.ts';
import { findRecord, libvirtSees, type Model, type Stored } from './model.ts';

export function observe(model: Model, move: MoveRecord): World {
  const running = libvirtSees(model);
  const gone = !running && !model.persistent;
  const stamp = (stored: Stored | undefined): Stamp | undefined =>
    stored && { phase: stored.phase, goal: stored.goal };
  return {
    domain: running ? 'running' : gone ? 'gone' : 'off',
    persistent: model.persistent,
    live: running ? liveDefinition(model) : 'none',
    config: model.persistent ? model.config : 'none',
    job: observedJob(model),
    recorded: {
      live: running ? stamp(model.live) : 'unavailable',
      config: model.persistent ? stamp(model.inConfig) : 'unavailable',
      journal: stamp(model.journal),
    },
    sameInstance: model.live?.mark === true,
    destination: observedDestination(model),
    answers: model.qemu.job ? (model.silent ? 'silent' : 'yes') : 'not-asked',
    qemuWrites: qemuWrites(model),
    savedDefinition: model.saved !== undefined,
    sourceRemains: running && liveDefinition(model) === 'destination' && model.origin.state !== 'absent',
    sides: model.process.sides,
    witnessed: model.process.witnessed,
    diverging: model.qemu.job?.state === 'running' && !model.qemu.job.synchronous && move.options.converge,
    starts: model.process.starts,
  };
}

/** A blind libvirtd has not seen that QEMU has pivoted. */
function liveDefinition(model: Model): Side {
  return model.daemon.blind === undefined ? model.qemu.on : 'origin';
}

function qemuWrites(model: Model): World['qemuWrites'] {
  const { qemu, daemon } = model;
  if (!qemu.running) return 'nobody';
  const phase = findRecord(model)?.phase ?? 'copying';
  const suspect = qemu.job === undefined && liveDefinition(model) === 'origin' && mayHavePivoted({ phase });
  if (daemon.blind === undefined && !suspect) return 'not-asked';
  return qemu.on === 'origin' || qemu.on === 'destination' ? qemu.on : 'unclear';
}

function observedJob(model: Model): World['job'] {
  const { job, foreignJob } = model.qemu;
  if (!libvirtSees(model)) return { kind: 'none' };
  if (model.daemon.blind === 'mirror') return { kind: 'ours', state: 'missing', cur: 0n, end: 0n };
  if (job?.unshown) return { kind: 'ours', state: 'unshown', cur: 0n, end: 0n };
  if (job) return { kind: 'ours', state: job.state, cur: 0n, end: 0n };
  return foreignJob ? { kind: 'foreign', what: 'commit' } : { kind: 'none' };
}

function observedDestination(model: Model): World['destination'] {
  const { state, foreign } = model.destination;
  if (state === 'absent') return 'absent';
  if (model.reused && !foreign) return 'ours';
  if (foreign || model.journal?.claimed !== true) return 'foreign';
  return state === 'empty' ? 'claimed' : 'ours';
}
