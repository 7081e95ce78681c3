// QEMU died while it was switching: do the two ends of the leg show the same, so that either is the truth?
import { compare } from '@blockferry/qemu';
import { LEGS, type Leg } from '../../model/layered-world.ts';
import { imageAt } from '../image-at.ts';
import { keyedChain } from '../keys.ts';
import { hostOf } from './files.ts';
import type { LayeredScene } from './layered-scene.ts';

/** The time limit is for a comparison that hangs; a large disk takes long. */
const COMPARE_WITHIN_MS = 6 * 3600_000;

export async function compareEnds(scene: LayeredScene, leg: Leg): Promise<void> {
  const host = hostOf(scene);
  const ends = await Promise.all([
    keyedChain(scene, imageAt(scene.move, LEGS[leg].from)),
    keyedChain(scene, imageAt(scene.move, LEGS[leg].to)),
  ]);
  const { same } = await compare(host, ...ends, { timeoutMs: COMPARE_WITHIN_MS });
  scene.memory.sides = same ? 'same' : 'differ';
}
