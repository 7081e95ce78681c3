import { expect, test } from 'vitest';
import { mustHaveShortNames } from './names.ts';

const file = (path: string) => ({ source: { kind: 'file', path }, format: 'qcow2' }) as const;
const disk = (name: string) => {
  const [from, to] = [file(`/here/${name}`), file(`/there/${name}`)];
  const overlay = {
    home: file(`/here/${name}.0123abcd.overlay`),
    away: file(`/there/${name}.0123abcd.overlay`),
  };
  return { layers: [{ from, to, how: 'bytes' }], overlay } as const;
};

test('a name that leaves no room for the journal of the commit into it is refused before the guest is on an overlay', () => {
  expect(() => mustHaveShortNames(disk('x'.repeat(220)))).not.toThrow();
  expect(() => mustHaveShortNames(disk('x'.repeat(222)))).toThrow('would have 256 bytes');
});
