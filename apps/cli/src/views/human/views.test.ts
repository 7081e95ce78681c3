// What people read.
import type { ChainReport, Leftover, MigrationRecord, MoveStatus, Plan } from '@blockferry/engine';
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../exit-code.ts';
import { bareResult, errorOf, namesOf } from '../../outcome/result.ts';
import { recordedIo, sampleMove } from '../../testing/move.ts';
import { chainText } from './chain.ts';
import { checkText } from './checks.ts';
import { domainsText } from './domains.ts';
import { leftoverText } from './leftovers.ts';
import { HumanMoveView } from './move.ts';
import { planBlock, planWithSteps } from './plan.ts';
import { drawnProgress, plainProgress } from './progress-line.ts';
import { resultText } from './result.ts';
import { statusText } from './status.ts';

const MIB = 1n << 20n;
const move = sampleMove();
const base = { source: { kind: 'file', path: '/old/base.qcow2' }, format: 'qcow2' } as const;
const plan: Plan = {
  move,
  steps: [{ step: 'start-copy', what: 'mirror the active image', leaves: 'an unfinished copy' }],
  warnings: [{ code: 'backing-becomes-absolute', message: 'the copy will name its backing file absolutely' }],
  why: 'asked for',
  bytes: 12n * MIB,
  capacity: 64n * MIB,
  chainBefore: [move.origin, base],
  chainAfter: [move.destination, base],
  copies: undefined,
};
const progress = {
  type: 'progress',
  copied: 512n * MIB,
  total: 1024n * MIB,
  rate: 100n * MIB,
  etaMs: 5_120,
  guestWriteRate: 8n * MIB,
} as const;

describe('a plan', () => {
  it('says from where to where, how much, and the chain it makes', () => {
    const text = planBlock(plan);
    expect(text).toContain('web vda: 12.0 MiB to copy (disk of 64.0 MiB, shallow)');
    expect(text).toContain('/old/web.qcow2 (qcow2)');
    expect(text).toContain('/new/web.qcow2 (qcow2, new)');
    expect(text).toContain('/old/base.qcow2 <- /new/web.qcow2');
  });

  it('names what each step leaves behind', () => {
    expect(planWithSteps(plan)).toMatch(/1\. mirror the active image\n.*an unfinished copy/);
  });
});

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
    const readBack = { ...unknown, copied: 4n * MIB, total: 4n * MIB, verified: MIB };
    expect(plainProgress({ phase: 'copying', progress: readBack })).toBe(
      'verifying  25 %  1.0 MiB of 4.0 MiB',
    );
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

describe('the result', () => {
  it('of a move says what it cost, what was kept, and how to remove that', () => {
    const text = resultText(
      bareResult('moved', ExitCode.DONE, {
        ...namesOf(move),
        cutoverMs: 24,
        durationMs: 5_200,
        bytes: 12n * MIB,
        allocatedBytes: 9n * MIB,
        sourcesKept: ["/old/it's.qcow2", 'rbd:pool/old', '/dev/vg/old', 'nbd://host/old'],
      }),
    );
    expect(text).toContain('moved: web vda runs on /new/web.qcow2');
    expect(text).toContain('cutover 24 ms, 12.0 MiB copied, 9.0 MiB allocated, took 5.2 s');
    expect(text).toContain(": rm '/old/it'\\''s.qcow2'\n");
    expect(text).toContain(': rbd rm pool/old\n');
  });

  it('of a layered move says what the guest felt, and what was not done twice', () => {
    const guard = {
      baselineMs: 0.67,
      meanMs: 0.81,
      worstMs: 1.24,
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

  it('of a held move says how to switch, undo, and keep', () => {
    const text = resultText(bareResult('ready', ExitCode.DONE, namesOf(move)));
    expect(text).toContain('blockferry pivot web vda');
    expect(text).toContain('blockferry abort web vda\n');
    expect(text).toContain('blockferry abort web vda --keep');
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

describe('the status of a move', () => {
  const running: MoveStatus = {
    move,
    domain: 'running',
    live: 'origin',
    config: 'origin',
    job: { kind: 'ours', state: 'running', cur: 32n * MIB, end: 64n * MIB },
    layers: undefined,
    next: { kind: 'wait', wait: { for: 'ready' } },
  };

  it('tells how far it is and how to go on or undo', () => {
    const text = statusText(running);
    expect(text).toContain('web vda: copying, running');
    expect(text).toContain('50 %, 32.0 MiB of 64.0 MiB');
    expect(text).toContain('blockferry abort web vda');
  });

  it('tells how to switch one that is held', () => {
    const job = { kind: 'ours', state: 'ready', cur: 1n, end: 1n } as const;
    const text = statusText({ ...running, move: sampleMove({ goal: 'hold' }), job });
    expect(text).toContain('ready, held');
    expect(text).toContain('blockferry pivot web vda');
  });

  it('asks where only a person can decide', () => {
    const text = statusText({
      ...running,
      domain: 'off',
      job: { kind: 'none' },
      next: { kind: 'ask', question: 'which-side' },
    });
    expect(text).toContain('blockferry resume web --use source');
    expect(text).toContain('blockferry resume web --use destination');
  });
});

describe('the list of domains', () => {
  it('shows every disk, and whose move or job is on it', () => {
    const disk = { target: 'vda', device: 'disk', source: '/a', format: 'qcow2' } as const;
    const text = domainsText([
      {
        name: 'web',
        uuid: 'u',
        state: 'running',
        persistent: false,
        migration: undefined,
        disks: [
          { ...disk, mirror: undefined, move },
          { ...disk, target: 'vdb', mirror: { job: 'copy', destination: '/theirs' }, move: undefined },
          { ...disk, target: 'sda', device: 'cdrom', source: undefined, mirror: undefined, move: undefined },
        ],
      },
      { name: 'db', uuid: 'v', state: 'shutoff', persistent: true, disks: [], migration: undefined },
    ]);
    expect(text).toMatch(/web +running \(transient\) +vda +qcow2 +\/a +copying to \/new\/web\.qcow2/);
    expect(text).toContain('copy job to /theirs, not ours');
    expect(text).toContain('(no medium in the cdrom)');
    expect(text).toMatch(/db +off +- +no disks/);
  });

  it('shows a migration on the disks that it copies, and not the commits that are a part of it', () => {
    const disk = { target: 'vda', device: 'disk', source: '/a', format: 'qcow2', mirror: undefined } as const;
    const migration = { id: 'abcd', phase: 'copying', goal: 'away', disks: [{ target: 'vda' }] };
    const textOf = (change: Partial<MigrationRecord>) =>
      domainsText([
        {
          ...{ name: 'web', uuid: 'u', state: 'running', persistent: true },
          migration: { ...migration, ...change } as unknown as MigrationRecord,
          disks: [
            { ...disk, move: sampleMove({ id: 'abcd-vda' }) },
            { ...disk, target: 'sda', move: undefined },
          ],
        },
      ]);
    expect(textOf({})).toMatch(/vda +qcow2 +\/a +migration, copying\n +sda +qcow2 +\/a\n/);
    expect(textOf({ goal: 'home' })).toContain('migration, going back');
    expect(textOf({ goal: 'home', phase: 'collapsing' })).toContain('migration, collapsing');
  });

  it('says so when there is none', () => {
    expect(domainsText([])).toBe('there are no domains\n');
  });
});

describe('a chain', () => {
  const image = { format: 'qcow2', virtualSize: 64n * MIB, allocated: 5n * MIB, usedBy: [] } as const;
  const report: ChainReport = {
    domain: 'web',
    disk: 'vda',
    definition: 'live',
    images: [
      { ...image, path: '/top' },
      {
        ...image,
        path: '/base',
        usedBy: [
          {
            domain: 'clone',
            uuid: 'c',
            disk: 'sda',
            definition: 'persistent',
            role: 'backing',
            format: 'qcow2',
            source: base.source,
          },
        ],
      },
    ],
    problem: undefined,
    mirror: undefined,
    nextBoot: undefined,
    unknownUses: [],
  };

  it('is a tree with the active image on top, sizes, and who else uses each image', () => {
    const text = chainText(report);
    expect(text).toMatch(/\n\/top +qcow2 +64\.0 MiB +5\.0 MiB/);
    expect(text).toMatch(/\n└─ \/base .* clone sda as backing/);
  });

  it('says what could not be seen', () => {
    const text = chainText({
      ...report,
      images: [{ ...image, path: '/top', virtualSize: undefined, allocated: undefined }],
      problem: '/base does not exist',
      nextBoot: '/elsewhere',
      unknownUses: [{ domain: 'odd', disk: 'vda', why: 'no such file' }],
    });
    expect(text).toContain('the images could not be read: /base does not exist');
    expect(text).toContain('the next boot uses /elsewhere');
    expect(text).toContain('what vda of odd uses is not known: no such file');
    expect(text).toMatch(/\/top +qcow2 +\? +\?/);
  });
});

describe('what doctor and cleanup say', () => {
  it('is a remedy for what is missing', () => {
    const check = {
      id: 'x',
      title: 'qemu-img',
      status: 'missing',
      found: 'not there',
      remedy: 'apt install it',
    };
    expect(checkText({ ...check, status: 'missing' })).toMatch(
      /MISSING +qemu-img: not there\n +→ apt install it/,
    );
  });

  it('is what would be removed, or why it is kept', () => {
    const journal = { path: '/new/.web.qcow2.blockferry' } as Leftover['journal'];
    const text = leftoverText({ journal, move, verdict: { kind: 'remove-copy', paths: ['/new/web.qcow2'] } });
    expect(text).toContain('remove /new/web.qcow2\n');
    expect(text).toContain('remove /new/.web.qcow2.blockferry');
    const kept = leftoverText({ journal, move, verdict: { kind: 'keep', why: 'it is used', hint: 'wait' } });
    expect(kept).toContain('kept: it is used');
    expect(kept).not.toContain('remove');
  });
});
