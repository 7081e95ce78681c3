// The guest's pause while its disks are switched, by us and nobody else.
import { record } from '../../act/record.ts';
import { definitionsOf } from '../../act/scene-domain.ts';
import type { LayeredStep } from '../../model/decision.ts';
import type { MoveRecord } from '../../model/record.ts';
import type { Definitions } from '../../observe/definitions.ts';
import type { LayeredScene } from './layered-scene.ts';

/** The record as these two steps leave it; the others leave it as it is. Pure. */
export function pauseRecorded(
  move: MoveRecord,
  { name }: LayeredStep,
  definitions: Pick<Definitions, 'domain'> | undefined,
): MoveRecord {
  const { group } = move;
  if (group === undefined || (name !== 'pause-guest' && name !== 'unpause-guest')) return move;
  const { paused: _, ...rest } = group;
  if (name === 'unpause-guest' || definitions === undefined) return { ...move, group: rest };
  return { ...move, group: { ...rest, paused: definitions.domain.id } };
}

/**
 * Records the pause, then orders it (virDomainSuspend). A guest that somebody paused in between is theirs; a crash between
 * the two leaves a record that is taken back without effect.
 */
export async function pauseGuest(scene: LayeredScene): Promise<void> {
  const { pause } = scene.memory;
  const { domain } = definitionsOf(scene);
  pause.tried = true;
  await record(scene);
  if ((await domain.getState()).state === 'running') {
    pause.heldSince = performance.now();
    await domain.suspend();
  } else pause.theirs = true;
}

/**
 * Lets the guest go on, if it is the one that was paused (its id in libvirt is another after each start), and takes the
 * pause out of the record. May be repeated: a guest that runs is not touched.
 */
export async function unpauseGuest(scene: LayeredScene): Promise<void> {
  const { memory, observation } = scene;
  const { definitions, stored } = observation;
  const ours = stored?.group?.paused === definitions?.domain.id && !memory.pause.theirs;
  if (definitions?.running && ours && (await definitions.domain.getState()).state === 'paused') {
    await definitions.domain.resume();
  }
  const { heldSince } = memory.pause;
  if (heldSince !== undefined) memory.pause.lastedMs = performance.now() - heldSince;
  delete memory.pause.heldSince;
  await record(scene);
}
