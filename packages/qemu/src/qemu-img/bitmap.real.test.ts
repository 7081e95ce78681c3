// Bitmaps of images that no QEMU writes to: nothing that was recorded is forgotten, and nothing broken seems whole.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { localHost } from '../host/local.ts';
import type { Image } from '../image/location.ts';
import { killWhileOpen, recorded } from '../testing/bitmaps.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { continueBitmaps, gatherBitmaps, mergeBitmaps, repairBitmaps } from './bitmap.ts';
import { create } from './create.ts';
import { info } from './info.ts';

const host = localHost();
afterAll(() => host.close());

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
beforeEach(async () => {
  directory = await temporaryDirectory();
});
afterEach(() => directory.remove());

const at = (name: string) => join(directory.path, name);
const image = (name: string): Image => ({ location: { kind: 'file', path: at(name) }, format: 'qcow2' });
const tool = (program: string, ...args: string[]) => execFileSync(program, args, { stdio: 'pipe' });
const write = (name: string, offset: string) =>
  tool('qemu-io', '-f', 'qcow2', '-c', `write ${offset} 64k`, at(name));
const bitmap = (of: string, name: string, ...args: string[]) =>
  tool('qemu-img', 'bitmap', ...args, '-f', 'qcow2', '--', at(of), name);
const commit = () => tool('qemu-img', 'commit', '-q', '-d', '-f', 'qcow2', at('overlay'));
const at64KiB = (mebibytes: number) => [mebibytes, 1 / 16] as const;
const merge = () => mergeBitmaps(host, image('overlay'), image('base'));

/** As after an external snapshot by libvirt: the overlay has the base's bitmap, and records in the base's stead. */
async function frozen(name = 'monday'): Promise<void> {
  const size = 16n * 1024n * 1024n;
  await create(host, image('base'), size);
  bitmap('base', name, '--add');
  write('base', '1M');
  await create(host, image('overlay'), size, { backing: image('base') });
  bitmap('overlay', name, '--add');
  write('overlay', '2M');
}

test('a bitmap of both holds what either recorded, whatever its name', async () => {
  const name = `it's "x",-y`;
  await frozen(name);
  commit();
  expect(await merge()).toEqual({ kept: [name], lost: [] });
  expect(recorded(at('base'), name)).toEqual([at64KiB(1), at64KiB(2)]);
});

test('a bitmap made on the overlay is made below as it was, and holds what it recorded and no more', async () => {
  await frozen();
  bitmap('overlay', 'tuesday', '--add', '-g', '131072');
  bitmap('overlay', 'stopped', '--add', '--disable');
  write('overlay', '4M');
  commit();
  expect(await merge()).toEqual({ kept: ['monday', 'tuesday', 'stopped'], lost: [] });
  expect(recorded(at('base'), 'tuesday')).toEqual([[4, 1 / 8]]);
  expect(recorded(at('base'), 'stopped')).toEqual([]);
  const { bitmaps } = await info(host, image('base'));
  expect(bitmaps).toEqual([
    { name: 'monday', granularity: 65_536n, flags: ['auto'] },
    { name: 'tuesday', granularity: 131_072n, flags: ['auto'] },
    { name: 'stopped', granularity: 65_536n, flags: [] },
  ]);
});

test('done again, nothing changes', async () => {
  await frozen();
  bitmap('overlay', 'tuesday', '--add');
  write('overlay', '4M');
  commit();
  await merge();
  const before = await info(host, image('base'));
  expect(await merge()).toEqual({ kept: ['monday', 'tuesday'], lost: [] });
  expect((await info(host, image('base'))).bitmaps).toEqual(before.bitmaps);
  expect(recorded(at('base'), 'tuesday')).toEqual([at64KiB(4)]);
});

describe('when QEMU died on the overlay', () => {
  test('the bitmap below is complete all the same: the commit recorded all that the overlay held', async () => {
    await frozen();
    await killWhileOpen(at('overlay'));
    commit();
    expect(await merge()).toEqual({ kept: ['monday'], lost: [] });
    expect(recorded(at('base'), 'monday')).toEqual([at64KiB(1), at64KiB(2)]);
  });

  test('a bitmap that only the overlay had is lost, and that is said', async () => {
    await frozen();
    bitmap('overlay', 'tuesday', '--add');
    await killWhileOpen(at('overlay'));
    commit();
    expect(await merge()).toEqual({ kept: ['monday'], lost: ['tuesday'] });
    expect((await info(host, image('base'))).bitmaps.map(({ name }) => name)).toEqual(['monday']);
  });
});

test('a bitmap that QEMU left open below is lost, and that is said', async () => {
  await frozen();
  await killWhileOpen(at('base'));
  commit();
  expect(await merge()).toEqual({ kept: [], lost: ['monday'] });
});

describe('of a chain made into one image', () => {
  const gather = () => gatherBitmaps(host, [image('overlay'), image('base')], image('flat'));
  const flags = async () =>
    (await info(host, image('flat'))).bitmaps.map(({ name, flags }) => [name, ...flags]);

  test('each bitmap holds what any layer recorded, and done again the same', async () => {
    await frozen(`it's "x",-y`);
    bitmap('overlay', 'stopped', '--add', '--disable', '-g', '131072');
    await create(host, image('flat'), 16n * 1024n * 1024n);
    for (const _ of ['once', 'again']) {
      expect(await gather()).toEqual({ kept: [`it's "x",-y`, 'stopped'], lost: [] });
      expect(recorded(at('flat'), `it's "x",-y`)).toEqual([at64KiB(1), at64KiB(2)]);
      expect(await flags()).toEqual([[`it's "x",-y`, 'auto'], ['stopped']]);
    }
  });

  test('a bitmap that a layer above does not have any more is not brought back', async () => {
    await frozen();
    bitmap('overlay', 'monday', '--remove');
    await create(host, image('flat'), 16n * 1024n * 1024n);
    expect(await gather()).toEqual({ kept: [], lost: [] });
    expect(await flags()).toEqual([]);
  });

  test('a bitmap that one layer was left with is there and refuses service', async () => {
    await frozen();
    await killWhileOpen(at('base'));
    await create(host, image('flat'), 16n * 1024n * 1024n);
    expect(await gather()).toEqual({ kept: [], lost: ['monday'] });
    expect(await flags()).toEqual([['monday']]);
  });
});

test('a copy whose bitmaps a killed tool left broken is given those of the original again', async () => {
  await frozen();
  bitmap('base', 'stopped', '--add', '--disable');
  tool('cp', at('base'), at('copy'));
  await killWhileOpen(at('copy'));
  const flags = async () =>
    (await info(host, image('copy'))).bitmaps.map(({ name, flags }) => [name, ...flags]);
  expect(await flags()).toEqual([
    ['monday', 'in-use', 'auto'],
    ['stopped', 'in-use'],
  ]);
  for (const _ of ['once', 'again']) {
    await repairBitmaps(host, image('base'), image('copy'));
    expect(recorded(at('copy'), 'monday')).toEqual([at64KiB(1)]);
    expect(await flags()).toEqual([['monday', 'auto'], ['stopped']]);
  }
});

test('a new overlay goes on with the bitmaps that record, and with no others', async () => {
  await frozen();
  bitmap('base', 'coarse', '--add', '-g', '131072');
  bitmap('base', 'stopped', '--add', '--disable');
  await create(host, image('next'), 16n * 1024n * 1024n, { backing: image('base') });
  for (const _ of ['once', 'again']) await continueBitmaps(host, image('base'), image('next'));
  expect((await info(host, image('next'))).bitmaps).toEqual([
    { name: 'monday', granularity: 65_536n, flags: ['auto'] },
    { name: 'coarse', granularity: 131_072n, flags: ['auto'] },
  ]);
  write('next', '3M');
  expect(recorded(at('next'), 'monday')).toEqual([at64KiB(3)]);
});
