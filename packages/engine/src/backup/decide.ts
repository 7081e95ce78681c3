// What follows from a look at a backup: the next step, something to wait for, or an end. Pure.
import { unreachable } from '../model/units.ts';
import type { BackupRecord } from './model.ts';

/** What was seen, in terms of the backup. */
export interface BackupWorld {
  readonly domain: 'running' | 'off' | 'gone';
  /** libvirt's backup job: `ours` if it writes into our point. */
  readonly job: 'none' | 'ours' | 'foreign';
  /** How libvirt's job ended, as far as this process can be sure that it was ours. */
  readonly witnessed: 'nothing' | 'completed' | { readonly failed: string };
  /** What it wrote was seen to be on stable storage. */
  readonly arrived: boolean;
  /** The checkpoint that is made with this backup is there. */
  readonly checkpoint: boolean;
  /** The point's directory is there. */
  readonly point: boolean;
  /** Its manifest stands: the backup is a good one. */
  readonly sealed: boolean;
  /** This process has made what is made beforehand. */
  readonly prepared: boolean;
  /** Older checkpoints of ours were seen to. */
  readonly tidied: boolean;
  /** The full pass: none was begun, records of one are open, or all its images are there and none is. */
  readonly copies: 'none' | 'open' | 'complete';
  /** How often this process has begun an increment anew. */
  readonly retries: number;
}

export type BackupStep =
  | { readonly name: 'thaw' }
  | { readonly name: 'prepare' }
  | { readonly name: 'make-checkpoint' }
  | { readonly name: 'copy' }
  | { readonly name: 'begin-increment' }
  /** What the job wrote is brought to stable storage: before that its success says nothing. */
  | { readonly name: 'flush' }
  /** Write that the phase has changed; for `sealing` that is the proof that all images are complete. */
  | { readonly name: 'record'; readonly phase: BackupRecord['phase'] }
  /** The increment may be torn: another try, with another checkpoint. */
  | { readonly name: 'begin-anew' }
  | { readonly name: 'seal' }
  | { readonly name: 'tidy' }
  | { readonly name: 'close' }
  /** Back, for a reason that is no wish of the operator's. */
  | { readonly name: 'give-up'; readonly reason: string }
  | { readonly name: 'cancel-job' }
  | { readonly name: 'undo-copies' }
  | { readonly name: 'delete-checkpoint' }
  | { readonly name: 'remove-point' };

export type BackupOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'back'; readonly why: string | undefined };

export type BackupDecision =
  | { readonly kind: 'act'; readonly step: BackupStep }
  | { readonly kind: 'wait' }
  | { readonly kind: 'end'; readonly outcome: BackupOutcome };

/** An increment that was lost this often by one process will be lost again. */
const RETRIES = 2;

const act = (step: BackupStep): BackupDecision => ({ kind: 'act', step });

export function decideBackup(world: BackupWorld, record: BackupRecord): BackupDecision {
  // A guest whose file systems are frozen waits for nobody else.
  if (record.frozen) return act({ name: 'thaw' });
  // Too late to go back: the backup is a good one, and removing it is `prune`'s business.
  if (world.sealed) return act({ name: world.tidied ? 'close' : 'tidy' });
  if (record.goal === 'abort') return undo(world);
  switch (record.phase) {
    case 'preparing':
      if (!world.prepared) return act({ name: 'prepare' });
      return act({ name: 'record', phase: record.kind === 'full' ? 'copying' : 'beginning' });
    case 'beginning':
      return begin(world, record);
    case 'copying':
      return record.kind === 'full' ? copyFull(world, record) : copyIncrement(world, record);
    case 'sealing':
      return world.point ? act({ name: 'seal' }) : giveUp(`the directory of ${record.point} is gone`);
    default:
      return unreachable(record.phase);
  }
}

function begin(world: BackupWorld, record: BackupRecord): BackupDecision {
  if (!world.point) return giveUp(`the directory of ${record.point} is gone`);
  if (world.job === 'ours') return act({ name: 'record', phase: 'copying' });
  // Begun, and nobody saw how it ended.
  if (world.checkpoint) return anew(world, record);
  // A domain that is off is copied from by a program of ours, which dies with us.
  if (world.domain === 'gone') return giveUp(`${record.domain.name} is gone`);
  if ((world.domain === 'running') !== record.running) {
    return giveUp(`${record.domain.name} was ${record.running ? 'shut off' : 'started'} meanwhile`);
  }
  return act({ name: 'begin-increment' });
}

function copyIncrement(world: BackupWorld, record: BackupRecord): BackupDecision {
  if (world.witnessed === 'completed') {
    return act(world.arrived ? { name: 'record', phase: 'sealing' } : { name: 'flush' });
  }
  if (world.witnessed !== 'nothing') return giveUp(world.witnessed.failed);
  if (world.job === 'ours') return { kind: 'wait' };
  // A job that vanished means success only if somebody saw it.
  return anew(world, record);
}

function anew(world: BackupWorld, record: BackupRecord): BackupDecision {
  if (record.running && world.domain !== 'running') {
    return giveUp(`${record.domain.name} was shut off before the increment was complete`);
  }
  if (world.retries >= RETRIES) return giveUp('nobody saw how the increment ended, several times');
  return act({ name: 'begin-anew' });
}

function copyFull(world: BackupWorld, record: BackupRecord): BackupDecision {
  if (world.copies === 'complete') return act({ name: 'record', phase: 'sealing' });
  if (!world.point) return giveUp(`the directory of ${record.point} is gone`);
  // Before the instant of the copies: what the guest writes in between is in both, the full one and the next increment.
  const wanted = record.checkpoint !== undefined && world.domain === 'running';
  if (world.copies === 'none' && wanted && !world.checkpoint) return act({ name: 'make-checkpoint' });
  return act({ name: 'copy' });
}

function undo(world: BackupWorld): BackupDecision {
  if (world.job === 'ours') return act({ name: 'cancel-job' });
  if (world.copies === 'open') return act({ name: 'undo-copies' });
  if (world.checkpoint && world.domain === 'running') return act({ name: 'delete-checkpoint' });
  if (world.point) return act({ name: 'remove-point' });
  return act({ name: 'close' });
}

function giveUp(reason: string): BackupDecision {
  return act({ name: 'give-up', reason });
}
