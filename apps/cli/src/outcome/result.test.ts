// Every way a move can end has its outcome, its exit code, and its words.
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../exit-code.ts';
import { sampleMove } from '../testing/move.ts';
import { type Ending, errorOf, judge } from './result.ts';

const move = sampleMove();

describe('the exit code', () => {
  it.each<[string, Ending, 'move' | 'abort', number]>([
    ['a move that was made', { kind: 'moved' }, 'move', ExitCode.DONE],
    ['a move that is held at ready', { kind: 'ready' }, 'move', ExitCode.DONE],
    ['a copy that was kept', { kind: 'kept' }, 'move', ExitCode.DONE],
    ['an image that was made', { kind: 'copied' }, 'move', ExitCode.DONE],
    ['an abort of an image that was complete', { kind: 'copied' }, 'abort', ExitCode.DONE],
    ['an abort that was asked for', { kind: 'back', why: 'aborted' }, 'abort', ExitCode.DONE],
    ['a move that went back by itself', { kind: 'back', why: 'the copy failed' }, 'move', ExitCode.FAILED],
    ['a domain that is off', { kind: 'interrupted', why: 'domain-off' }, 'move', ExitCode.RESUMABLE],
    ['an interrupted abort', { kind: 'interrupted', why: 'foreign-job' }, 'abort', ExitCode.RESUMABLE],
    ['Ctrl-C', { kind: 'stopped' }, 'move', ExitCode.RESUMABLE],
    ['a question', { kind: 'ask', question: 'which-side' }, 'move', ExitCode.NEEDS_PERSON],
  ])('of %s', (_, ending, asked, exitCode) => {
    expect(judge(ending, asked).exitCode).toBe(exitCode);
  });
});

describe('the words of an ending', () => {
  it('are none when it is what was asked for', () => {
    expect(errorOf({ kind: 'moved' }, move, 'move')).toBeUndefined();
    expect(errorOf({ kind: 'back', why: 'aborted' }, move, 'abort')).toBeUndefined();
  });

  it('say why a move went back', () => {
    const error = errorOf({ kind: 'back', why: 'the copy failed: the destination is full' }, move, 'move');
    expect(error).toMatchObject({ code: 'went-back', message: 'the copy failed: the destination is full' });
  });

  it('say after Ctrl-C how to go on and how to undo', () => {
    const error = errorOf({ kind: 'stopped' }, move, 'move');
    expect(error?.hint).toContain('blockferry resume web');
    expect(error?.hint).toContain('blockferry abort web vda');
  });

  it('do not offer to undo a copy that is complete', () => {
    const copy = { quiesce: 'auto' } as const;
    const open = errorOf({ kind: 'stopped' }, sampleMove({ copy, goal: 'copy' }), 'move');
    const complete = errorOf({ kind: 'stopped' }, sampleMove({ copy, goal: 'keep' }), 'move');
    expect(open?.hint).toContain('blockferry abort');
    expect(complete?.hint).toBe('go on: blockferry resume web');
  });

  it.each(['collapsing', 'landing', 'settling'] as const)(
    'do not offer to undo a move whose guest has left its source (%s)',
    (phase) => {
      const error = errorOf({ kind: 'interrupted', why: 'copy-failed' }, sampleMove({ phase }), 'move');
      expect(error?.hint).toBe('go on: blockferry resume web');
    },
  );

  it('name the two images that the guest may be on while it goes back', () => {
    const overlay = { source: { kind: 'file', path: '/old/overlay' }, format: 'qcow2' } as const;
    const layers = [{ from: move.origin, to: move.destination, how: 'contents' }] as const;
    const layered = { layers, overlay, carrier: overlay, verify: true } as const;
    const back = sampleMove({ strategy: 'layered', layered, phase: 'returning', goal: 'keep' });
    const { hint } = errorOf({ kind: 'ask', question: 'which-side' }, back, 'move') ?? {};
    expect(hint).toContain('source (/old/overlay)');
    expect(hint).toContain('destination (/old/web.qcow2)');
  });

  it.each(['domain-off', 'domain-saved', 'foreign-job', 'disk-changed', 'destination-taken'] as const)(
    'say what interrupted it (%s), with that as the code',
    (why) => {
      const error = errorOf({ kind: 'interrupted', why }, move, 'move');
      expect(error?.code).toBe(why);
      expect(error?.hint).toContain('blockferry resume web');
    },
  );

  it.each(['which-side', 'domain-gone-while-pivoting'] as const)(
    'name both images and both commands where a person must decide (%s)',
    (question) => {
      const error = errorOf({ kind: 'ask', question }, move, 'move', ['the source was written last']);
      expect(error?.hint).toContain('the source was written last');
      expect(error?.code).toBe(question);
      expect(error?.message).toContain('/old/web.qcow2');
      expect(error?.message).toContain('/new/web.qcow2');
      expect(error?.hint).toContain('blockferry resume web --use source');
      expect(error?.hint).toContain('blockferry resume web --use destination');
    },
  );

  it('say what helps a commit that is held, and whose domain is off', () => {
    const shorten = { chain: [move.origin, move.destination], keepRelative: false };
    const held = sampleMove({ strategy: 'commit', goal: 'hold', shorten });
    const error = errorOf({ kind: 'interrupted', why: 'domain-off' }, held, 'move');
    expect(error?.message).toBe('web is off, and its commit waits for a word');
    expect(error?.hint).toContain('commit it while it is off: blockferry pivot web vda');
  });

  it('name the overlay and the image below it where the guest wrote to both', () => {
    const overlay = { source: { kind: 'file', path: '/old/overlay' }, format: 'qcow2' } as const;
    const layers = [{ from: move.origin, to: move.destination, how: 'contents' }] as const;
    const layered = { layers, overlay, carrier: overlay, verify: true } as const;
    const frozen = sampleMove({ strategy: 'layered', layered, phase: 'freezing' });
    const { message, hint } = errorOf({ kind: 'ask', question: 'both-written' }, frozen, 'move') ?? {};
    expect(message).toContain('put on /old/overlay');
    expect(hint).toContain('what /old/web.qcow2 holds is to stay: move /old/overlay away');
    expect(hint).not.toContain('--use');
  });

  it('say what to do with a domain whose memory was saved', () => {
    const error = errorOf({ kind: 'interrupted', why: 'domain-saved' }, move, 'move');
    expect(error?.message).toContain('virsh start web');
    expect(error?.message).toContain('virsh managedsave-remove web');
  });

  it('quote a domain name that a shell would take apart', () => {
    const odd = sampleMove({ domain: { name: 'my web; reboot', uuid: move.domain.uuid } });
    expect(errorOf({ kind: 'stopped' }, odd, 'move')?.hint).toContain("blockferry resume 'my web; reboot'");
  });
});
