// What the entry sets up before anything is loaded.
import { homedir } from 'node:os';
import { afterEach, expect, it, vi } from 'vitest';
import { settleHome } from './main.ts';

vi.mock('node:os', async (original) => ({
  ...(await original<typeof import('node:os')>()),
  homedir: () => {
    if (process.env.HOME === undefined) throw new Error('uv_os_homedir returned ENOENT');
    return process.env.HOME;
  },
}));

afterEach(() => vi.unstubAllEnvs());

it('a user whom the machine does not know is at home in the root', () => {
  vi.stubEnv('HOME', undefined);
  settleHome();
  expect(homedir()).toBe('/');
});

it('a home that there is stays', () => {
  vi.stubEnv('HOME', '/home/ada');
  settleHome();
  expect(homedir()).toBe('/home/ada');
});
