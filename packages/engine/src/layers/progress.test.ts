// What a copy tells of itself.
import { localHost } from '@blockferry/qemu';
import { expect, test } from 'vitest';
import { Progress } from './progress.ts';
import { layerOf } from './testing/layer-of.ts';

test('until anything is copied, what is read first tells how fast it goes; what is read ahead later does not', () => {
  const layer = layerOf(localHost(), { count: 2, copied: [], verified: [] });
  const progress = new Progress(true);
  progress.begin([layer]);
  progress.watchRead().progress(1024n);
  expect(progress.now()).toMatchObject({ copiedNow: 0n, readFirst: 1024n });
  const task = { layer, index: 0, again: false };
  const writing = progress.watchCopy(task);
  progress.watchRead().progress(3072n);
  writing.progress(2048n);
  expect(progress.now()).toMatchObject({ copiedNow: 2048n, readFirst: 1024n });
});

test('what was read back of a window counts at once as such, and as verified when its journal says so', () => {
  const before = layerOf(localHost(), { count: 3, copied: [0, 1, 2], verified: [0] });
  const { windowBytes } = before.journal.cut;
  const progress = new Progress(true);
  progress.begin([before]);
  const task = { layer: before, index: 1, again: false };
  progress.watchCompare(task).progress(1024n);
  expect(progress.now()).toMatchObject({ verified: windowBytes, readBack: windowBytes + 1024n });
  progress.windowCompared(task);
  expect(progress.now()).toMatchObject({ verified: windowBytes, readBack: 2n * windowBytes });
  before.journal.verified.add(1);
  expect(progress.now()).toMatchObject({ verified: 2n * windowBytes, readBack: 2n * windowBytes });
  progress.windowNoted(task);
  expect(progress.now()).toMatchObject({ readBack: 2n * windowBytes });
});

test('a window that differs counts no more; where nothing is read back, that is not known to be nothing', () => {
  const layer = layerOf(localHost(), { count: 2, copied: [0], verified: [] });
  const progress = new Progress(true);
  progress.begin([layer]);
  const task = { layer, index: 0, again: false };
  progress.windowCompared(task);
  progress.windowNoted(task);
  expect(progress.now().readBack).toBe(0n);
  const unverified = new Progress(false);
  unverified.begin([layer]);
  expect(unverified.now().readBack).toBeUndefined();
});
