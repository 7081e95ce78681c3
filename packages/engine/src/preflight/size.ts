// How much there is to copy.
import type { Scope } from '../model/record.ts';
import type { Bytes } from '../model/units.ts';
import type { Situation } from './situation.ts';

/** Bytes that the storage holds for the images in scope; the guest's capacity where that cannot be told. */
export function bytesToCopy({ chain, capacity }: Situation, scope: Scope): Bytes {
  const images = scope === 'shallow' ? chain?.slice(0, 1) : chain;
  if (images === undefined) return capacity;
  let sum = 0n;
  for (const { allocated } of images) sum += allocated ?? capacity;
  // Of a chain that is kept, no image hides what is below it.
  return sum < capacity || scope === 'chain' ? sum : capacity;
}
