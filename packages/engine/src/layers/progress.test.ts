// What a copy tells of itself.
import { localHost } from '@blockferry/qemu';
import { expect, test } from 'vitest';
import { Progress } from './progress.ts';
import { layerOf } from './testing/layer-of.ts';

test('until anything is copied, what is read first tells how fast it goes; what is read ahead later does not', () => {
  const layer = layerOf(localHost(), { count: 2, copied: [], verified: [] });
  const progress = new Progress();
  progress.begin([layer]);
  progress.watchRead().progress(1024n);
  expect(progress.now()).toMatchObject({ copiedNow: 0n, readFirst: 1024n });
  const task = { layer, index: 0, again: false };
  const writing = progress.watchCopy(task);
  progress.watchRead().progress(3072n);
  writing.progress(2048n);
  expect(progress.now()).toMatchObject({ copiedNow: 2048n, readFirst: 1024n });
});
