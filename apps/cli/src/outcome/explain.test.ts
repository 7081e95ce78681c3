// Errors become words and exit codes in one place.
import { CopiesInterrupted, Refusal, StepFailed } from '@blockferry/engine';
import { ConnectionUriError, LibvirtError, TransportFailed } from '@blockferry/libvirt';
import { HostError } from '@blockferry/qemu';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../arguments/usage-error.ts';
import { ExitCode } from '../exit-code.ts';
import { Interrupted } from '../terminal/interrupt.ts';
import { sampleMove } from '../testing/move.ts';
import { explain } from './explain.ts';

const facts = { code: 38, domain: 10, message: 'cannot open file', level: 2 };
const libvirtError = new LibvirtError('DOMAIN_BLOCK_COPY', {
  ...facts,
  str1: null,
  str2: null,
  str3: null,
  int1: 0,
  int2: 0,
});

describe('an error', () => {
  it('of the command line is exit code 2', () => {
    const { exitCode, error } = explain(new UsageError('--x and --y exclude each other', 'choose'));
    expect(exitCode).toBe(ExitCode.USAGE);
    expect(error).toEqual({ code: 'usage', message: '--x and --y exclude each other', hint: 'choose' });
    expect(explain(new ConnectionUriError('malformed', 'x', 'not a URI')).exitCode).toBe(ExitCode.USAGE);
  });

  it('of preflight is exit code 3, with its own code and hint', () => {
    const refusal = new Refusal('destination-exists', '/x exists', {}, 'choose another name');
    expect(explain(refusal)).toEqual({
      outcome: 'refused',
      exitCode: ExitCode.REFUSED,
      error: { code: 'destination-exists', message: '/x exists', hint: 'choose another name' },
    });
  });

  it.each([
    ['a step', new StepFailed('claim-destination', '/x appeared meanwhile'), 'step-claim-destination'],
    ['libvirt', libvirtError, 'libvirt-system-error'],
    ['the connection', new TransportFailed('unix', 'ENOENT'), 'cannot-connect'],
    [
      'the host',
      new HostError('timeout', { host: 'h', command: 'stat', detail: 'no end in time', hint: 'is it up?' }),
      'host-timeout',
    ],
    ['a mistake of ours', new TypeError('undefined is not a function'), 'internal'],
  ])('of %s is exit code 1 before the record stands, and 4 after', (_, error, code) => {
    expect(explain(error, false)).toMatchObject({ outcome: 'failed', exitCode: 1, error: { code } });
    expect(explain(error, true)).toMatchObject({ outcome: 'failed', exitCode: 4, error: { code } });
  });

  it('of the copies of a backup says what holds them up, in the words for moves', () => {
    const ended = { ending: { kind: 'interrupted', why: 'domain-saved' }, move: sampleMove() } as const;
    const { exitCode, error } = explain(new CopiesInterrupted('domain-saved', false, ended), true);
    expect([exitCode, error.code]).toEqual([ExitCode.RESUMABLE, 'copy-interrupted']);
    expect(error.message).toContain('start it (virsh start web)');
  });

  it('of a backup whose guest wrote to its overlay and below it names both, and offers no answer that nobody can give', () => {
    const overlay = { source: { kind: 'file', path: '/old/overlay' }, format: 'qcow2' } as const;
    const move = sampleMove({ phase: 'freezing' });
    const layers = [{ from: move.origin, to: move.destination, how: 'bytes' }] as const;
    const frozen = { ...move, layered: { layers, overlay, carrier: overlay, verify: true } } as const;
    const ended = { ending: { kind: 'ask', question: 'both-written' }, move: frozen } as const;
    const { exitCode, error } = explain(new CopiesInterrupted('both-written', true, ended), true);
    expect([exitCode, error.code]).toEqual([ExitCode.NEEDS_PERSON, 'both-written']);
    expect(error.message).toContain('/old/overlay');
    expect(error.hint).toContain('move /old/overlay away');
  });

  it('that is Ctrl-C before anything happened says that nothing was touched', () => {
    expect(explain(new Interrupted())).toMatchObject({ outcome: 'stopped', exitCode: ExitCode.FAILED });
    expect(explain(new Interrupted()).error.message).toContain('before anything was touched');
  });
});
