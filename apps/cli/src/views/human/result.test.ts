// What is said of a move that has ended, one way or another.
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../exit-code.ts';
import { bareResult, namesOf } from '../../outcome/result.ts';
import { sampleMove } from '../../testing/move.ts';
import { resultText } from './result.ts';

const MIB = 1n << 20n;
const move = sampleMove();

describe('the result', () => {
  it('of a move says what it cost, what was kept, and how to remove that', () => {
    const text = resultText(
      bareResult('moved', ExitCode.DONE, {
        ...namesOf(move),
        runsOn: '/new/web.qcow2',
        cutoverMs: 24,
        durationMs: 5_200,
        bytes: 12n * MIB,
        allocatedBytes: 9n * MIB,
        sourcesDeleted: ['/old/top.qcow2'],
        sourcesKept: ["/old/it's.qcow2", 'rbd:pool/old', '/dev/vg/old', 'nbd://host/old'],
        removals: ['rbd --conf /ceph/other.conf rm --pool pool --image old'],
      }),
    );
    expect(text).toContain('moved: web vda runs on /new/web.qcow2');
    expect(text).toContain('cutover 24 ms, 12.0 MiB copied, 9.0 MiB allocated, took 5.2 s');
    expect(text).toContain('  source deleted: /old/top.qcow2\n');
    expect(text).toContain(": rm '/old/it'\\''s.qcow2'\n");
    expect(text).toContain(': rbd --conf /ceph/other.conf rm --pool pool --image old\n');
  });

  it('of a layered move says what the guest felt, and what was not done twice', () => {
    const guard = {
      baselineMs: 0.67,
      meanMs: 0.81,
      worstMs: 1.24,
      baselineP95Ms: undefined,
      p95Ms: undefined,
      overBound: 0,
      heldBackMs: 3_100,
    };
    const text = resultText(
      bareResult('moved', ExitCode.DONE, {
        ...namesOf(move),
        freezeMs: 21.4,
        bytes: 12n * MIB,
        copiedBefore: 5n * MIB,
        verifiedBytes: 17n * MIB,
        guard,
      }),
    );
    expect(text).toContain('freeze 21 ms, 12.0 MiB copied, 5.0 MiB not copied again, 17.0 MiB verified');
    expect(text).toContain(
      "the guest's writes took 0.7 ms alone, 0.8 ms while copying, 1.2 ms at worst; the guard held the copy back for 3.1 s",
    );
  });

  it('of one that is held offers to keep the copy only where that can be done', () => {
    const held = bareResult('ready', ExitCode.DONE, namesOf(move));
    expect(resultText(held)).toContain('blockferry abort web vda --keep');
    expect(resultText({ ...held, cannotBeKept: true })).not.toContain('--keep');
  });

  it('of a domain that is off does not say that it runs', () => {
    const text = resultText(bareResult('moved', ExitCode.DONE, namesOf(move)));
    expect(text).toBe('moved: web vda is on /new/web.qcow2\n');
  });

  it('of a held move says how to switch, undo, and keep', () => {
    const text = resultText(bareResult('ready', ExitCode.DONE, namesOf(move)));
    expect(text).toContain('blockferry pivot web vda');
    expect(text).toContain('blockferry abort web vda\n');
    expect(text).toContain('blockferry abort web vda --keep');
  });

  it.each([
    [{}, 'is not moved yet'],
    [{ copy: 'making' }, 'is not copied yet'],
    [{ copy: 'complete' }, 'is not back on its own image yet'],
    [{ strategy: 'commit' }, 'is not done yet'],
  ] as const)('of what was stopped says what is not done yet: %j', (known, words) => {
    const stopped = bareResult('stopped', ExitCode.RESUMABLE, { ...namesOf(move), ...known });
    expect(resultText(stopped)).toBe(`stopped: web vda ${words}\n`);
  });

  it('of a failure says what happened, where the guest is, and what to do', () => {
    const error = { code: 'x', message: 'the copy failed', hint: 'do this\nor that' };
    const known = { ...namesOf(move), runsOn: '/old/web.qcow2', leftovers: ['/new/web.qcow2'], error };
    const text = resultText(bareResult('failed', ExitCode.RESUMABLE, known));
    expect(text).toContain('the guest runs on /old/web.qcow2');
    expect(text).toContain('  the copy failed\n  → do this\n  → or that');
    expect(text).toContain('left behind: /new/web.qcow2');
  });
});
