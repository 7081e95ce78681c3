// What is said of a move while it runs: its progress, and each change of phase.
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../exit-code.ts';
import { bareResult, errorOf, namesOf } from '../../outcome/result.ts';
import { recordedIo, sampleMove } from '../../testing/move.ts';
import { HumanMoveView } from './move.ts';
import { drawnProgress, plainProgress } from './progress-line.ts';

const MIB = 1n << 20n;
const move = sampleMove();
const progress = {
  type: 'progress',
  copied: 512n * MIB,
  total: 1024n * MIB,
  rate: 100n * MIB,
  etaMs: 5_120,
  guestWriteRate: 8n * MIB,
} as const;

describe('progress', () => {
  it('shows bar, phase, percent, rate, time to go and what the guest writes', () => {
    const line = drawnProgress({ phase: 'copying', progress }, 120);
    expect(line).toMatch(/^copying {2}\[#{10}\.{10}\] {2}50 % /);
    for (const part of ['512 MiB of 1.0 GiB', '100 MiB/s', '5.1 s left', 'guest writes 8.0 MiB/s']) {
      expect(line).toContain(part);
    }
  });

  it('never wraps, whatever the width', () => {
    for (let columns = 1; columns < 140; columns += 1) {
      expect(drawnProgress({ phase: 'copying', progress }, columns).length).toBeLessThan(columns);
    }
  });

  it('keeps rate, time to go and the guest on 80 columns', () => {
    const line = drawnProgress({ phase: 'copying (hold)', progress }, 80);
    expect(line).toMatch(/50 % {2}100 MiB\/s {2}5\.1 s left {2}guest writes 8\.0 MiB\/s$/);
  });

  it('leaves out what is not known yet', () => {
    const unknown = { ...progress, rate: undefined, etaMs: undefined, guestWriteRate: undefined };
    expect(plainProgress({ phase: 'copying', progress: unknown })).toBe('copying  50 %  512 MiB of 1.0 GiB');
  });

  it('is that of the reading back once all is copied, for the disk that it is of', () => {
    const copied = { ...progress, copied: 4n * MIB, total: 4n * MIB, rate: 0n, guestWriteRate: undefined };
    const nothing = { ...copied, verified: 0n, readBack: 0n, etaMs: undefined };
    expect(plainProgress({ phase: 'copying', progress: nothing })).toBe('verifying  0 %  0 B of 4.0 MiB');
    const some = { ...copied, verified: 0n, readBack: MIB, readBackRate: MIB, etaMs: 3_000 };
    expect(plainProgress({ disk: 'vdb', phase: 'copying', progress: some })).toBe(
      'vdb verifying  25 %  1.0 MiB of 4.0 MiB  1.0 MiB/s  3.0 s left',
    );
    const all = { ...copied, verified: 4n * MIB, readBack: 4n * MIB, readBackRate: MIB, etaMs: undefined };
    expect(plainProgress({ phase: 'copying', progress: all })).toMatch(/^copying {2}100 %/);
  });

  it('says so, instead of a rate, while the copy waits for room', () => {
    const waiting = plainProgress({ phase: 'copying', progress: { ...progress, space: 'low' } });
    expect(waiting).toMatch(/of 1\.0 GiB {2}waits for room {2}guest writes/);
  });
});

describe('the view of a move', () => {
  it('redraws one line on a terminal, and gives warnings lines of their own', () => {
    const io = recordedIo({ terminal: true, columns: 100 });
    const view = new HumanMoveView(io);
    view.report({ type: 'phase', phase: 'copying', goal: 'pivot' });
    view.report(progress);
    view.report({ type: 'warning', code: 'stands-still', message: 'nothing was copied for 5 s' });
    expect(io.written.err).toContain('\rcopying  [');
    expect(io.written.err).toContain('\r\x1b[Kwarning: nothing was copied for 5 s\n');
    expect(io.written.err.endsWith('\x1b[K')).toBe(true);
    expect(io.written.out).toBe('');
  });

  it('prints a line at most every 2 s elsewhere, and each change of phase', () => {
    const io = recordedIo();
    let now = 0;
    const view = new HumanMoveView(io, () => now);
    view.report({ type: 'phase', phase: 'copying', goal: 'pivot' });
    for (now = 100; now <= 4_100; now += 100) view.report(progress);
    view.report({ type: 'phase', phase: 'pivoting', goal: 'pivot' });
    const lines = io.written.err.trim().split('\n');
    expect(lines.filter((line) => line.startsWith('copying'))).toHaveLength(3);
    expect(lines.at(-1)).toMatch(/^pivoting/);
    expect(io.written.err).not.toContain('\x1b');
  });

  it('puts the result on stdout, and a failure on stderr', () => {
    const [good, bad] = [recordedIo(), recordedIo()];
    new HumanMoveView(good).result(bareResult('moved', ExitCode.DONE, namesOf(move)));
    const error = errorOf({ kind: 'stopped' }, move, 'move');
    new HumanMoveView(bad).result(bareResult('stopped', ExitCode.RESUMABLE, { ...namesOf(move), error }));
    expect(good.written).toMatchObject({ err: '', out: expect.stringContaining('moved: web vda') });
    expect(bad.written.err).toContain('blockferry resume web');
  });
});
