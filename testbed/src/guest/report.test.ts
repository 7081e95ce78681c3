import { expect, test } from 'vitest';
import { DiskReport } from './report.ts';

const plan = { run: 'r', seed: 1, offset: 0n, length: 1048576n, blockBytes: 4096 };

function reportOf(...lines: string[]): DiskReport {
  const report = new DiskReport('vda');
  for (const line of lines) report.read(line);
  return report;
}

test('counts what was flushed, life by life', () => {
  const said = reportOf(
    '@vda S run=r inc=1 from=1 slots=256 block=4096 t=10',
    '@vda A seq=7 n=7 max_us=900 gap_us=1000 t=60',
    '@vdb A seq=99 n=99 max_us=1 gap_us=1 t=60',
    '@vda S run=r inc=2 from=9 slots=256 block=4096 t=5',
    '@vda A seq=12 n=4 max_us=800 gap_us=801 t=55',
  );
  expect(said.acknowledged(plan)).toMatchObject({
    highestSeq: 12,
    lives: [
      { incarnation: 1, firstSeq: 1, highestSeq: 7 },
      { incarnation: 2, firstSeq: 9, highestSeq: 12 },
    ],
  });
  expect(said.writes).toBe(11);
});

test('a line that something else wrote into is no promise', () => {
  const said = reportOf(
    '@vda S run=r inc=1 from=1 slots=256 block=4096 t=10',
    '@vda A seq=7 n=7 max_us=900 gap_us=1000 t=60',
    '@vda A seq=8[    3.1] random: n=1 max_us=1 gap_us=1 t=61',
    '@vda A seq=800',
  );
  expect(said.acknowledged(plan).highestSeq).toBe(7);
});

test('keeps errors, bad readbacks, and a wait that has not ended', () => {
  const said = reportOf(
    '@vda E op=write errno=5 seq=8 count=3 t=70',
    '@vda B seq=9 slot=4 want=3 got=0 t=71',
    '@vda H seq=7 stuck_us=2500000 t=72',
  );
  expect(said.acknowledged(plan).errors).toEqual([{ op: 'write', errno: 5, seq: 8, count: 3 }]);
  expect(said.acknowledged(plan).badReadbacks).toEqual([{ seq: 9, slot: 4, want: 3, got: 0 }]);
  expect(said.stuckUs).toBe(2_500_000);
});
