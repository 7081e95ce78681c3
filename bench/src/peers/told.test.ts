import { expect, test } from 'vitest';
import { readTold } from './told.ts';

const line = (at: number, message: object) => ({ at, text: JSON.stringify(message) });
const progress = (at: number, copied: number) => line(at, { type: 'progress', copied, total: 1e9 });

test('seconds by phase, and the speed between the first byte and the last', () => {
  const told = readTold(
    [
      { at: 0.1, text: 'words for people' },
      line(0.5, { type: 'plan' }),
      line(1, { type: 'phase', phase: 'copying' }),
      progress(1.5, 0),
      progress(2, 100e6),
      progress(3, 600e6),
      progress(4, 1e9),
      progress(5, 1e9),
      line(6, { type: 'phase', phase: 'settling' }),
      progress(6.1, 3),
    ],
    6.5,
  );
  expect(Object.fromEntries(told.phases)).toEqual({ start: 1, copying: 5, settling: 0.5 });
  expect(told.bulkMBps).toBeCloseTo(450);
});

test('a round that follows counts for itself, though the one before ended between two reports', () => {
  const phase = line(1, { type: 'phase', phase: 'copying' });
  const told = readTold([phase, progress(2, 1e8), progress(4, 9e8), progress(4.5, 1e6)], 5);
  expect(told.bulkMBps).toBeCloseTo(400);
});

test('what is too short to see has no speed', () => {
  expect(
    readTold([line(1, { type: 'phase', phase: 'copying' }), progress(2, 1e9)], 3).bulkMBps,
  ).toBeUndefined();
  expect(Object.fromEntries(readTold([], 3).phases)).toEqual({ start: 3 });
});
