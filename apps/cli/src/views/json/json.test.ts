// What programs read: the shapes of docs/json.md.
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../exit-code.ts';
import { bareResult, namesOf } from '../../outcome/result.ts';
import { sampleMove } from '../../testing/move.ts';
import { formatLine } from './lines.ts';
import { JsonMoveView } from './move.ts';

function lines(text: string): unknown[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);
}

function viewed(show: (view: JsonMoveView) => void, uri?: string): unknown[] {
  let text = '';
  const view = new JsonMoveView((more) => {
    text += more;
  }, uri);
  view.continuing(sampleMove());
  text = '';
  show(view);
  expect(text).toMatch(/^(\{.*\}\n)*$/);
  return lines(text);
}

describe('a JSON line', () => {
  it('is one line, with its version and type first', () => {
    expect(formatLine({ type: 'x', text: 'a\nb' })).toBe('{"v":1,"type":"x","text":"a\\nb"}\n');
  });

  it('has null for what is not known', () => {
    expect(formatLine({ type: 'x', rate: undefined })).toBe('{"v":1,"type":"x","rate":null}\n');
  });

  it('has bytes as numbers while those are exact, and as strings beyond', () => {
    const safe = BigInt(Number.MAX_SAFE_INTEGER);
    expect(formatLine({ type: 'x', bytes: safe })).toContain('"bytes":9007199254740991}');
    expect(formatLine({ type: 'x', bytes: safe + 1n })).toContain('"bytes":"9007199254740992"}');
  });
});

describe('a move as JSON', () => {
  it('names domain and disk on every line', () => {
    const said = viewed((view) => {
      view.report({ type: 'phase', phase: 'copying', goal: 'pivot' });
      view.report({ type: 'step', step: 'start-copy' });
      view.report({ type: 'warning', code: 'stands-still', message: 'nothing was copied' });
      view.report({
        type: 'progress',
        copied: 1n,
        total: 4n,
        rate: undefined,
        etaMs: undefined,
        guestWriteRate: 7n,
      });
    });
    expect(said).toEqual([
      { v: 1, type: 'phase', domain: 'web', disk: 'vda', phase: 'copying', goal: 'pivot' },
      { v: 1, type: 'step', domain: 'web', disk: 'vda', step: 'start-copy' },
      {
        v: 1,
        type: 'warning',
        domain: 'web',
        disk: 'vda',
        code: 'stands-still',
        message: 'nothing was copied',
      },
      {
        v: 1,
        type: 'progress',
        domain: 'web',
        disk: 'vda',
        copied: 1,
        total: 4,
        percent: 25,
        rate: null,
        etaMs: null,
        guestWriteRate: 7,
      },
    ]);
  });

  it('says nothing of waiting, which phases and warnings tell', () => {
    expect(viewed((view) => view.report({ type: 'waiting', wait: { for: 'ready' } }))).toEqual([]);
  });

  it('ends with a result that has every field, known or not', () => {
    const known = { ...namesOf(sampleMove()), bytes: 5n, cannotBeKept: true, copy: 'making' } as const;
    const result = bareResult('moved', ExitCode.DONE, known);
    expect(viewed((view) => view.result(result))).toEqual([
      {
        v: 1,
        type: 'result',
        outcome: 'moved',
        exitCode: 0,
        domain: 'web',
        disk: 'vda',
        source: '/old/web.qcow2',
        destination: '/new/web.qcow2',
        runsOn: null,
        cutoverMs: null,
        durationMs: null,
        bytes: 5,
        copiedBefore: null,
        verifiedBytes: null,
        freezeMs: null,
        guard: null,
        allocatedBytes: null,
        sourcesKept: [],
        sourcesDeleted: [],
        leftovers: [],
        error: null,
      },
    ]);
  });

  it('advises commands that reach the same connection', () => {
    const error = { code: 'stopped', message: 'stopped', hint: 'go on: blockferry resume web' };
    const result = bareResult('stopped', ExitCode.RESUMABLE, { error });
    const [line] = viewed((view) => view.result(result), 'qemu+ssh://host2/system?no_tty=1');
    expect(line).toMatchObject({
      error: { hint: "go on: blockferry -c 'qemu+ssh://host2/system?no_tty=1' resume web" },
    });
  });
});
