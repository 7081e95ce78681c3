// A copy is complete: from here on it stays, and the guest goes back to its own image.
import { record } from '../../act/record.ts';
import { journaledProgress } from '../copies.ts';
import type { LayeredScene } from './layered-scene.ts';

/**
 * Writes that the copies stay (goal `keep`), and what was done, which only their journals know until then. All of them are
 * on stable storage. May be repeated: until the record says so, no image of the guest's changes.
 */
export async function keepCopies(scene: LayeredScene): Promise<void> {
  const { move, context } = scene;
  const journaled = await journaledProgress(context, move);
  if (move.copy === undefined || journaled === undefined) return record(scene);
  const { copied, verified } = journaled;
  await record({ ...scene, move: { ...move, copy: { ...move.copy, done: { copied, verified } } } });
}
