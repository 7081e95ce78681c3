// By these keys it is known that two names are one file, and so what may be deleted.
import { FileError, type FileStat } from '@blockferry/qemu';
import { expect, test } from 'vitest';
import { fileKeys } from './file-key.ts';

const file = (path: string) => ({ kind: 'file', path }) as const;
const stat = (more: Partial<FileStat>) =>
  ({ type: 'file', device: 8n, inode: 5n, rdev: { major: 0, minor: 0 }, ...more }) as FileStat;

const THERE: Readonly<Record<string, FileStat>> = {
  '/a': stat({}),
  '/link to a': stat({}),
  '/dev/vg/lv': stat({ type: 'block', inode: 9n, rdev: { major: 253, minor: 2 } }),
};

const host = {
  async stat(path: string): Promise<FileStat | null> {
    if (!path.startsWith('/broken')) return THERE[path] ?? null;
    throw new FileError({ code: 'EIO', host: 'here', operation: 'stat', path, detail: 'Input/output error' });
  },
};

test('two names of one file have one key; a device is what it stands for; what is not there has none', async () => {
  const keys = await fileKeys(host, ['/a', '/link to a', '/gone', 'relative', '/dev/vg/lv'].map(file));
  expect(Object.fromEntries(keys)).toEqual({
    '/a': 'file 8:5',
    '/link to a': 'file 8:5',
    '/dev/vg/lv': 'device 253:2',
  });
});

test('a name that cannot be looked at is not taken for one of nothing', async () => {
  await expect(fileKeys(host, ['/a', '/broken/b'].map(file))).rejects.toThrow('Input/output error');
  const unread: string[] = [];
  const keys = await fileKeys(host, ['/a', '/broken/b'].map(file), ({ path }) => unread.push(path));
  expect([[...keys.keys()], unread]).toEqual([['/a'], ['/broken/b']]);
});
