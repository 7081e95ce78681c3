// What programs say of themselves, read.
import { describe, expect, it } from 'vitest';
import { readLimit } from './storage-limit.ts';
import { childrenSeconds, timed } from './timed-command.ts';

describe('CPU time', () => {
  it('is read from the shell’s line for its children', () => {
    expect(childrenSeconds('0m0.01s 0m0.02s\n0m1.25s 1m0.50s\n')).toBeCloseTo(61.75);
    expect(childrenSeconds('')).toBe(0);
  });

  it('of a command counts what it started, and what it said is kept', async () => {
    const busy = 'n=0; while [ $n -lt 60000 ]; do n=$((n+1)); done';
    const done = await timed({ argv: ['sh', '-c', `sh -c '${busy}'; echo done; exit 3`], capMs: 60_000 });
    expect(done).toMatchObject({ ended: 'badly', said: 'done\n', daemonCpu: 0 });
    expect(done.toolCpu).toBeGreaterThan(0);
  });

  it('a command that takes too long is ended with all it started', async () => {
    const done = await timed({ argv: ['sh', '-c', 'sleep 600'], capMs: 100 });
    expect(done.ended).toBe('capped');
  });
});

describe('the storage’s limit', () => {
  const job = (way: string, bytes: number) => ({ [way]: { bw_bytes: bytes } });

  it('is read from fio’s JSON, whatever it warns of before', () => {
    const text = `fio: a warning\n${JSON.stringify({ jobs: [job('read', 600e6), job('write', 400e6)] })}`;
    expect(readLimit(text)).toEqual({ readMBps: 600, writeMBps: 400, copyMBps: 400 });
  });

  it('is refused when fio told something else', () => {
    expect(() => readLimit('{"jobs":[]}')).toThrow(/no read bandwidth/);
  });
});
