// What people read of a chain that becomes shorter.
import type { MoveStatus, Plan } from '@blockferry/engine';
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../exit-code.ts';
import { bareResult, errorOf, judge, namesOf } from '../../outcome/result.ts';
import { continuingWords } from '../../outcome/work-words.ts';
import { recordedIo, sampleMove } from '../../testing/move.ts';
import { HumanMoveView } from './move.ts';
import { planBlock } from './plan.ts';
import { resultText } from './result.ts';
import { statusText } from './status.ts';

const file = (path: string) => ({ source: { kind: 'file', path }, format: 'qcow2' }) as const;
const [top, middle, base] = [file('/i/top'), file('/i/middle'), file('/i/base')];
const shorten = { chain: [top, middle, base], keepRelative: false };
const ownership = { kind: 'reused' } as const;
const both = { shorten, ownership, origin: middle, sources: [middle] } as const;
const commit = sampleMove({ ...both, strategy: 'commit', destination: base });
const pull = sampleMove({ ...both, strategy: 'pull', destination: top });

describe('a chain that is shortened', () => {
  it('is drawn as it is and as it is to be', () => {
    const plan: Plan = {
      move: commit,
      steps: [],
      warnings: [],
      why: 'one block job of QEMU',
      bytes: 3n << 20n,
      capacity: 64n << 20n,
      chainBefore: [top, middle, base],
      chainAfter: [top, base],
      copies: undefined,
    };
    expect(planBlock(plan)).toBe(`web vda: 3.0 MiB to commit (disk of 64.0 MiB)
  chain  /i/base <- /i/middle <- /i/top
  then   /i/base <- /i/top
  by     one block job of QEMU
`);
  });

  it('has words of its own for what it does', () => {
    for (const [move, phase] of [
      [commit, 'committing'],
      [pull, 'flattening'],
    ] as const) {
      const io = recordedIo();
      const view = new HumanMoveView(io);
      view.continuing(move);
      view.report({ type: 'phase', phase: 'copying', goal: 'pivot' });
      expect(io.written.err).toContain(phase);
    }
    expect(continuingWords(commit)).toBe('continuing the commit of web vda into /i/base');
    expect(continuingWords({ ...pull, goal: 'abort' })).toBe('undoing the flattening of web vda');
  });

  it('ends committed or flattened, and what left it is named', () => {
    const { outcome, exitCode } = judge({ kind: 'moved' }, 'move', 'commit');
    const known = { ...namesOf(commit), runsOn: '/i/top', sourcesKept: ['/i/middle'] };
    expect(
      resultText(bareResult(outcome, exitCode, known)),
    ).toBe(`committed: web vda, from /i/middle down into /i/base
  the guest runs on /i/top
  no longer in the chain: /i/middle
  once nothing else uses it and you no longer want it: rm /i/middle
`);
    const flat = judge({ kind: 'moved' }, 'move', 'pull');
    expect(resultText(bareResult(flat.outcome, flat.exitCode, namesOf(pull)))).toBe(
      'flattened: web vda: /i/top has taken what was below it\n',
    );
  });

  it('says that nothing is lost when it did not come to that', () => {
    const ending = { kind: 'back', why: 'the block job failed: the destination is full' } as const;
    const error = errorOf(ending, commit, 'move');
    const text = resultText(bareResult('back', ExitCode.FAILED, { ...namesOf(commit), error }));
    expect(text).toContain('back: web vda has its chain as it was');
    expect(text).toContain('the chain is as long as it was, and shows the guest the same');
  });

  it('is told apart from a move while it is open', () => {
    const status: MoveStatus = {
      move: commit,
      domain: 'running',
      live: 'origin',
      config: 'origin',
      job: { kind: 'ours', state: 'running', cur: 1n, end: 2n },
      layers: undefined,
      atWork: undefined,
      next: { kind: 'wait', wait: { for: 'ready' } },
    };
    expect(statusText(status)).toMatch(
      /^web vda: committing, running\n {2}commit {2}\/i\/middle\n {2}into {4}\/i\/base\n/,
    );
    expect(statusText({ ...status, live: 'destination' })).toContain('the chain is short');
  });
});
