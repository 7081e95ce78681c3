// Carries out one step of a backup. Every step may be repeated.
import { unreachable } from '../model/units.ts';
import { flushIncrement } from './arrival.ts';
import { beginIncrement, makeCheckpoint } from './begin-increment.ts';
import { checkpointName, deleteOrForget, deleteOthers } from './checkpoints.ts';
import { copyFull, undoCopies } from './copies.ts';
import type { BackupStep } from './decide.ts';
import { makeTargets, prepare, removePoint } from './prepare.ts';
import { thaw } from './quiesce.ts';
import { newer, readBackupJournal, removeBackupRecord } from './record.ts';
import { type BackupScene, recorded, warn } from './scene.ts';
import { seal } from './seal.ts';

/** @throws whatever the step meets; the record stands */
export async function actBackup(scene: BackupScene, step: BackupStep): Promise<void> {
  const { host, record, definitions, memory } = scene;
  switch (step.name) {
    case 'thaw':
      return thaw(scene);
    case 'prepare':
      return prepare(scene);
    case 'make-checkpoint':
      return makeCheckpoint(scene);
    case 'copy':
      return copyFull(scene);
    case 'begin-increment':
      return beginIncrement(scene);
    case 'flush':
      return flushIncrement(scene);
    case 'record':
      await recorded(scene, { ...record, phase: step.phase });
      return;
    case 'begin-anew':
      return beginAnew(scene);
    case 'seal':
      return seal(scene);
    case 'tidy':
      await tidy(scene);
      memory.tidied = true;
      return;
    case 'close':
      return removeBackupRecord(host, definitions, record);
    case 'give-up':
      return giveUp(scene, step.reason);
    case 'cancel-job':
      await definitions?.domain.abortJob();
      return;
    case 'undo-copies':
      return undoCopies(scene);
    case 'delete-checkpoint':
      return deleteCheckpoint(scene);
    case 'remove-point':
      return removePoint(host, record.directory, record.point);
    default:
      return unreachable(step);
  }
}

/** What the step wrote before it failed counts: a guest that may be frozen, say. */
export async function giveUp(scene: BackupScene, reason: string): Promise<void> {
  const { host, record } = scene;
  const journal = await readBackupJournal(host, record.directory);
  const stands = newer(record, journal?.id === record.id ? journal : undefined) ?? record;
  await recorded({ ...scene, record: stands }, { ...stands, goal: 'abort', reason });
}

/**
 * The checkpoint of an increment that nobody saw complete goes, which gives what it recorded back to the one before; the
 * next try has another name, for a libvirtd that died in between may have left a bitmap of this one.
 */
async function beginAnew(scene: BackupScene): Promise<void> {
  const { record, memory } = scene;
  await deleteCheckpoint(scene);
  memory.retries++;
  memory.arrived = false;
  delete memory.jobSeen;
  delete memory.vanishedSince;
  const attempt = record.attempt + 1;
  const checkpoint = record.checkpoint && { checkpoint: checkpointName(record.set, record.id, attempt) };
  const again = await recorded(scene, { ...record, attempt, phase: 'beginning', ...checkpoint });
  await makeTargets(again);
}

async function deleteCheckpoint({ definitions, record }: BackupScene): Promise<void> {
  if (record.checkpoint === undefined || definitions === undefined) return;
  const { domain } = definitions;
  const checkpoint = await domain.lookupCheckpointByName(record.checkpoint);
  const images = record.disks.map(({ source }) => source);
  const why = await deleteOrForget(checkpoint, domain, images);
  if (why !== undefined) throw new Error(`the checkpoint ${record.checkpoint} cannot be deleted: ${why}`);
}

/** Only the newest point's checkpoint is needed. One that cannot be deleted now can the next time. */
async function tidy(scene: BackupScene): Promise<void> {
  const { definitions, record } = scene;
  if (!definitions?.running) return;
  const keep = record.checkpoint ?? record.parent?.checkpoint;
  for (const why of await deleteOthers(definitions.domain, record.set, keep)) {
    warn(scene, 'checkpoint-stays', `an older checkpoint could not be deleted: ${why}`);
  }
}
