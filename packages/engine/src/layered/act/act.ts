// Carries out one step of strategy `layered`. Each may be repeated after a crash at any point.
import { afterRecord } from '../../act/act.ts';
import { close } from '../../act/close.ts';
import { deleteSource } from '../../act/delete-source.ts';
import { record } from '../../act/record.ts';
import type { Decision, LayeredStep } from '../../model/decision.ts';
import { type Claim, LEGS } from '../../model/layered-world.ts';
import type { MoveRecord } from '../../model/record.ts';
import { onNextOverlay, withNextOverlay, withoutNextOverlay } from '../../model/rounds.ts';
import { unreachable } from '../../model/units.ts';
import { copyLayers, forgetCopies, relinkCopies, stopCopying } from '../copies.ts';
import { imageAt } from '../image-at.ts';
import { brakeGuest, releaseGuest, releaseRecorded } from './brake.ts';
import { clear } from './clear.ts';
import { compareEnds } from './compare-ends.ts';
import { defineOn } from './define-on.ts';
import { claimAll, freeze } from './freeze.ts';
import { keepCopies } from './keep-copies.ts';
import type { LayeredScene } from './layered-scene.ts';
import { cancelLeg, finishLeg, prepareCarrier, startLeg } from './leg.ts';
import { pauseGuest, pauseRecorded, unpauseGuest } from './pause.ts';
import { thawGuest, thawRecorded } from './quiesce.ts';
import { mustNotBeSaved } from './saved.ts';
import { walk } from './walk.ts';

/** Does the step of a decision; returns the record as it is afterwards. */
export async function actLayered(
  scene: Omit<LayeredScene, 'move'>,
  before: MoveRecord,
  decision: Decision<LayeredStep> & { readonly kind: 'act' },
): Promise<MoveRecord> {
  const { step } = decision;
  const reason = step.name === 'record' ? step.reason : undefined;
  const { copyFiles, live } = scene.observation.world;
  const recorded = thawRecorded(
    afterStep(afterRecord(before, decision, reason), step, copyFiles),
    step,
    live,
  );
  const move = pauseRecorded(recorded, step, scene.observation.definitions);
  await perform({ ...scene, move }, step);
  return move;
}

/** What a step changes in the record itself. */
function afterStep(move: MoveRecord, step: LayeredStep, copyFiles: Claim): MoveRecord {
  if (step.name === 'release-guest') return releaseRecorded(move);
  if (step.name === 'claim-files' && copyFiles === 'absent') return withImageClaimed(move);
  if (step.name !== 'record-round') return move;
  switch (step.round) {
    case 'planned':
      return withNextOverlay(move);
    case 'begun':
      return onNextOverlay(move);
    case 'dropped':
      return withoutNextOverlay(move);
    default:
      return unreachable(step.round);
  }
}

/** What was there and not ours would not be absent, but foreign. */
function withImageClaimed(move: MoveRecord): MoveRecord {
  const { ownership } = move;
  return ownership.kind === 'rbd-image' ? { ...move, ownership: { ...ownership, claimed: true } } : move;
}

async function perform(scene: LayeredScene, step: LayeredStep): Promise<void> {
  switch (step.name) {
    case 'record':
      return record(scene);
    case 'record-round':
      await record(scene);
      if (step.round === 'begun') forgetCopies(scene);
      return;
    case 'claim-files':
      return claimAll(scene);
    case 'freeze':
      return freeze(scene);
    case 'copy-layers':
      return copyLayers(scene);
    case 'stop-copying':
      return stopCopying(scene);
    case 'relink':
      return relinkCopies(scene);
    case 'keep-copies':
      return keepCopies(scene);
    case 'brake-guest':
      return brakeGuest(scene);
    case 'release-guest':
      return releaseGuest(scene);
    case 'thaw-guest':
      return thawGuest(scene);
    case 'prepare-carrier':
      return prepareCarrier(scene);
    case 'start-leg':
      return startLeg(scene, step.leg);
    case 'finish-leg':
      return finishLeg(scene);
    case 'cancel-leg':
      return cancelLeg(scene);
    case 'walk':
      await mustNotBeSaved(scene, step.name, imageAt(scene.move, LEGS[step.leg].to));
      return walk(scene, step.leg);
    case 'define-on':
      await mustNotBeSaved(scene, step.name, imageAt(scene.move, step.place));
      return defineOn(scene, imageAt(scene.move, step.place));
    case 'compare-ends':
      return compareEnds(scene, step.leg);
    case 'pause-guest':
      return pauseGuest(scene);
    case 'unpause-guest':
      return unpauseGuest(scene);
    case 'clear':
      return clear(scene, step.what);
    case 'delete-source':
      return deleteSource(scene);
    case 'close':
      return close(scene, step.outcome);
    default:
      return unreachable(step);
  }
}
