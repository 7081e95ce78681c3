// The line of `stat`, as data.
import { expect, test } from 'vitest';
import { parseFileStat } from './file-stat.ts';

test('reads every field, and times before 1970', () => {
  expect(
    parseFileStat('81a4 9007199254740993 8 512 -1.000000001 18446744073709551615 65024 1 2 0 0\n'),
  ).toEqual({
    type: 'file',
    size: 9007199254740993n,
    allocated: 4096n,
    mtimeNs: -1_000_000_001n,
    inode: 18446744073709551615n,
    device: 65024n,
    uid: 1,
    gid: 2,
    mode: 0o644,
    rdev: { major: 0, minor: 0 },
  });
  expect(parseFileStat('61b0 0 0 512 1.000000000 1 6 0 6 fd 1f\n')).toMatchObject({
    type: 'block',
    mode: 0o660,
    rdev: { major: 0xfd, minor: 0x1f },
  });
});

test.each(['', '\n', 'stat: cannot\n', 'f1a4 1 1 1 1.000000000 1 1 1 1 0 0\n', '81a4 1 1 1 1 1 1 1 1 0 0\n'])(
  'refuses what stat does not print: %j',
  (text) => {
    expect(() => parseFileStat(text)).toThrow(SyntaxError);
  },
);
