import { expect, test } from 'vitest';
import { Depth } from './depth.ts';

const MIB = 1n << 20n;
const LIMIT = 1024n * MIB;

test('without a limit there are many requests, as large as QEMU makes them', () => {
  expect(new Depth().requests(0n, true)).toEqual({ 'max-workers': 32 });
});

test('under a limit there are few and small ones', () => {
  expect(new Depth().requests(LIMIT, true)).toEqual({ 'max-workers': 4, 'max-chunk': 262_144 });
});

test('a target of large clusters gets its clusters', () => {
  expect(new Depth().requests(LIMIT, false)).toEqual({ 'max-workers': 4 });
});

test('storage that answers late gets more of them, up to as many as without a limit', () => {
  const depth = new Depth();
  const workers = Array.from({ length: 5 }, () => {
    depth.learn({ bytes: 128n * MIB, ms: 4_000, speed: LIMIT });
    return depth.requests(LIMIT, true)['max-workers'];
  });
  expect(workers).toEqual([8, 16, 32, 32, 32]);
});

test.each([
  ['storage that answers soon', { bytes: 128n * MIB, ms: 300, speed: LIMIT }],
  ['a job that its limit holds back', { bytes: 8n * MIB, ms: 1_000, speed: 8n * MIB }],
  ['a limit that was changed meanwhile', { bytes: 8n * MIB, ms: 1_000, speed: undefined }],
  ['a job without a limit', { bytes: 8n * MIB, ms: 1_000, speed: 0n }],
])('%s gets no more', (_, copied) => {
  const depth = new Depth();
  depth.learn(copied);
  expect(depth.requests(LIMIT, true)['max-workers']).toBe(4);
});
