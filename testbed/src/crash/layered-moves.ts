// Moves of whole chains in layers, and what must be true when they have ended.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Berth } from './berth.ts';
import { chainOf, expectWhole, type Whole } from './whole.ts';

/** The guest is on copies of all its images in `directory`, in the same shape. The old ones are removed afterwards. */
export async function expectLayersMoved(
  berth: Berth,
  what: string,
  before: readonly string[],
  directory: string,
  rest: Pick<Whole, 'running' | 'restart'> = {},
): Promise<void> {
  const copies = before.map((path) => join(directory, basename(path)));
  const [top = ''] = copies;
  assert.deepEqual(await chainOf(top), copies, `${what}: its chain`);
  await expectWhole(berth, what, { on: top, besides: before, ...rest });
  for (const path of before) await rm(path);
}
