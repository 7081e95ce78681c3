// Quoting for a shell, and reading the supervisor's last line.
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { quoteCommand, readSupervisorMark } from './shell.ts';

test('a shell splits a quoted command back into the same arguments', () => {
  const argument = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0'));
  fc.assert(
    fc.property(fc.array(argument, { minLength: 1 }), (args) => {
      const shell = `printf '%s\\0' ${quoteCommand(args)}`;
      expect(execFileSync('/bin/sh', ['-c', shell], { encoding: 'utf8' }).split('\0').slice(0, -1)).toEqual(
        args,
      );
    }),
    { numRuns: 50 },
  );
});

test('plain words stay readable, and a NUL is refused', () => {
  expect(quoteCommand(['qemu-img', 'info', '/a/b.qcow2', 'a b', ''])).toBe(
    "qemu-img info /a/b.qcow2 'a b' ''",
  );
  expect(() => quoteCommand(['a\0b'])).toThrow(TypeError);
});

test('the mark is found wherever it stands, and only when it is whole', () => {
  expect(readSupervisorMark('oops\nm 3\n', 'm')).toEqual({ kind: 'exited', status: 3, stderr: 'oops' });
  expect(readSupervisorMark('\nm 0\nlate', 'm')).toEqual({ kind: 'exited', status: 0, stderr: 'late' });
  expect(readSupervisorMark('\nm not-found\n', 'm')).toEqual({ kind: 'not-found', stderr: '' });
  for (const text of ['', 'oops', '\nm', '\nm 3', 'm 3\n']) {
    expect(readSupervisorMark(text, 'm')).toEqual({ kind: 'running' });
  }
});
