// Carries out one step of a commit or a pull. Each may be repeated after a crash at any point.
import { afterRecord } from '../../act/act.ts';
import { cancelJob } from '../../act/cancel-job.ts';
import { close } from '../../act/close.ts';
import { compareSides } from '../../act/compare-sides.ts';
import { deleteSource } from '../../act/delete-source.ts';
import { pivot } from '../../act/pivot.ts';
import { record } from '../../act/record.ts';
import type { Decision, ShortenStep } from '../../model/decision.ts';
import type { MoveRecord } from '../../model/record.ts';
import { unreachable } from '../../model/units.ts';
import { defineOn } from './define-on.ts';
import { finishOffline, stopOffline, workOffline } from './offline.ts';
import type { ShortenScene } from './scene.ts';
import { startJob } from './start-job.ts';

/** Does the step of a decision; returns the record as it is afterwards. */
export async function actShorten(
  scene: Omit<ShortenScene, 'move'>,
  before: MoveRecord,
  decision: Decision<ShortenStep> & { readonly kind: 'act' },
): Promise<MoveRecord> {
  const { step } = decision;
  const move = afterRecord(before, decision, step.name === 'record' ? step.reason : undefined);
  await perform({ ...scene, move }, step);
  return move;
}

async function perform(scene: ShortenScene, step: ShortenStep): Promise<void> {
  switch (step.name) {
    case 'record':
      return record(scene);
    case 'start-job':
      return startJob(scene);
    case 'pivot':
      return pivot(scene);
    case 'cancel-job':
      return cancelJob(scene);
    case 'work-offline':
      return workOffline(scene);
    case 'stop-offline':
      return stopOffline(scene);
    case 'finish-offline':
      return finishOffline(scene);
    case 'fix-definition':
      return defineOn(scene, step.on);
    case 'compare-sides':
      return compareSides(scene);
    case 'delete-source':
      return deleteSource(scene);
    case 'close':
      return close(scene, step.outcome);
    default:
      return unreachable(step);
  }
}
