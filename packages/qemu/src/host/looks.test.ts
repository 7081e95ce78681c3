// One answer about several files, taken apart.
import { expect, test } from 'vitest';
import type { RunResult } from './host.ts';
import { answersOf, Looks } from './looks.ts';

const said = (stdout: string, stderr = ''): RunResult => ({
  ...{ code: stderr === '' ? 0 : 1, signal: null },
  ...{ stdout, stderr },
});
const nothing = (path: string) => `stat: cannot statx '${path}': No such file or directory`;

test('each path has its own: those that are there, and those that are not, wherever they stand', () => {
  const answers = answersOf(
    ['/gone', '/a\nb', '/gone too', '/c'],
    said('1 2\n/a\nb\x003 4\n/c\0', `${nothing('/gone')}\n${nothing('/gone too')}`),
  );
  expect(answers?.get('/a\nb')).toMatchObject({ code: 0, stdout: '1 2\n' });
  expect(answers?.get('/c')).toMatchObject({ code: 0, stdout: '3 4\n' });
  expect(answers?.get('/gone')).toMatchObject({ code: 1, stderr: nothing('/gone') });
  expect(answers?.get('/gone too')).toMatchObject({ code: 1, stderr: nothing('/gone too') });
});

test.each([
  ['a line more than files that are missing', said('1\n/a\0', `${nothing('/b')}\na warning`)],
  ['a line less', said('1\n/a\0')],
  ['a file that nobody asked for', said('1\n/a\x001\n/c\0', nothing('/b'))],
  ['no program', said('', 'sh: stat: not found')],
])('no answer comes of %s', (_, result) => {
  expect(answersOf(['/a', '/b'], result)).toBeUndefined();
});

test('asked for at one moment, one command; alone, none; what fails is no answer', async () => {
  const commands: string[] = [];
  const looks = new Looks(async (argv) => {
    const paths = argv.slice(argv.indexOf('--') + 1);
    commands.push(paths.join(' '));
    if (paths.includes('/hangs')) throw new Error('no end in time');
    return said(paths.map((path) => `1\n${path}\0`).join(''));
  });
  const ask = (path: string, ...options: string[]) => looks.ask(path, options, '%s');
  expect(await ask('/alone')).toBeUndefined();
  expect(await Promise.all([ask('/a'), ask('/b'), ask('/a'), ask('/c', '-L')])).toMatchObject([
    ...[{ stdout: '1\n' }, { stdout: '1\n' }, { stdout: '1\n' }],
    undefined,
  ]);
  expect(await Promise.all([ask('/a'), ask('/hangs')])).toEqual([undefined, undefined]);
  expect(commands).toEqual(['/a /b', '/a /hangs']);
});
