import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../process/run.ts';
import { makeChain } from './chain.ts';
import { listFiles, putFile, readTextFile } from './files.ts';

let directory = '';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bf-images-'));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

test('each layer of a chain shows its own file and those below it', async () => {
  const files = { base: { '/foo': 'one' }, snap1: { '/bar': 'two' }, snap2: { '/baz': 'three' } };
  const { images, top, size, region } = await makeChain(directory, ['base', 'snap1', 'snap2'], { files });
  expect(await Promise.all(images.map(listFiles))).toEqual([['foo'], ['bar', 'foo'], ['bar', 'baz', 'foo']]);
  expect(await readTextFile(top, '/bar')).toBe('two');
  expect(region.offset + region.length).toBeLessThanOrEqual(size);
  const info: unknown = JSON.parse(
    (await run(['qemu-img', 'info', '--output=json', '--backing-chain', top.path])).stdout,
  );
  expect(info).toMatchObject([
    { filename: images[2]?.path, 'backing-filename': images[1]?.path, 'backing-filename-format': 'qcow2' },
    { filename: images[1]?.path, 'backing-filename': images[0]?.path },
    { filename: images[0]?.path, 'virtual-size': Number(size) },
  ]);
});

test('a file is replaced, and one that is not there is an error', async () => {
  const { top } = await makeChain(directory, ['alone'], { size: 16n << 20n, baseFormat: 'raw' });
  await putFile(top, '/note', 'first');
  await putFile(top, '/note', 'second');
  expect(await readTextFile(top, '/note')).toBe('second');
  await expect(readTextFile(top, '/nothing')).rejects.toThrow('File not found');
});

test('image names may contain what shells and QEMU find special', async () => {
  const special = join(directory, 'a b,c:d=e "ü\' json:{}');
  await run(['mkdir', special]);
  const { images } = await makeChain(special, ['base', 'top'], {
    size: 16n << 20n,
    files: { base: { '/foo': '' } },
  });
  expect(await Promise.all(images.map(listFiles))).toEqual([['foo'], ['foo']]);
});

test('the fill takes its room in each layer, and no more fits than there is', async () => {
  const fill = 2n << 20n;
  const { images } = await makeChain(directory, ['full', 'fuller'], {
    size: 16n << 20n,
    fill,
    relativeBacking: true,
  });
  for (const { path } of images) {
    const info: { 'actual-size': number } = JSON.parse(
      (await run(['qemu-img', 'info', '--output=json', path])).stdout,
    );
    expect(info['actual-size']).toBeGreaterThanOrEqual(Number(fill));
  }
  await expect(makeChain(directory, ['a', 'b', 'c'], { size: 16n << 20n, fill })).rejects.toThrow('no room');
});
