// Every verb of qemu-img that we use, on real images.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { localHost } from '../host/local.ts';
import type { Image } from '../image/location.ts';
import { startQemuNbd } from '../testing/nbd-server.ts';
import { forgetBackingFormat } from '../testing/qcow2.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { readChain } from './chain.ts';
import { check } from './check.ts';
import { compare } from './compare.ts';
import { convert } from './convert.ts';
import { create } from './create.ts';
import { info } from './info.ts';
import { map } from './map.ts';
import { measure } from './measure.ts';
import { rebase, relinkBacking } from './rebase.ts';
import { resize } from './resize.ts';

const MiB = 1024n * 1024n;
const CLUSTER = 65_536;
const LONG = { timeoutMs: 60_000 };
const host = localHost();
afterAll(() => host.close());

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let base: Image;
let mid: Image;
let top: Image;
const at = (name: string) => join(directory.path, name);
const image = (name: string, format = 'qcow2'): Image => ({
  location: { kind: 'file', path: at(name) },
  format,
});
const write = (target: Image, command: string) =>
  execFileSync(
    'qemu-io',
    ['-f', target.format, '-c', `write ${command}`, 'path' in target.location ? target.location.path : ''],
    {
      stdio: 'pipe',
    },
  );

beforeEach(async () => {
  directory = await temporaryDirectory();
  [base, mid, top] = [image('base, "1"'), image('mid=x:y'), image('top ü')];
  await create(host, base, 8n * MiB);
  write(base, '-P 1 0 2M');
  await create(host, mid, 8n * MiB, { backing: { reference: 'base, "1"', format: 'qcow2' } });
  write(mid, '-P 2 1M 2M');
  await create(host, top, 8n * MiB, { backing: { reference: './mid=x:y', format: 'qcow2' } });
  write(top, '-P 3 4M 64k');
});
afterEach(() => directory.remove());

describe('compare', () => {
  test('sees equal contents in different shapes, and where they differ', async () => {
    const flat = image('flat', 'raw');
    await create(host, flat, 8n * MiB);
    await convert(host, [top, mid, base], flat, { ...LONG, targetIsZero: true });
    const progress: number[] = [];
    const onProgress = (fraction: number) => progress.push(fraction);
    expect(await compare(host, [top, mid, base], [flat], { ...LONG, onProgress })).toEqual({ same: true });
    expect(progress.at(-1)).toBe(1);
    write(flat, '-P 9 5M 512');
    expect(await compare(host, [top, mid, base], [flat], { ...LONG, onProgress })).toEqual({
      same: false,
      detail: 'Content mismatch at offset 5242880!',
      offset: 5_242_880n,
    });
  });

  test('opens exactly the chain it is given', async () => {
    expect(await compare(host, [top, base], [base], LONG)).toMatchObject({ same: false });
    expect(await compare(host, [mid, base], [base], LONG)).toMatchObject({ same: false });
  });
});

describe('rebase', () => {
  test('safe: the image shows the same over another backing file', async () => {
    const before = image('before', 'raw');
    await create(host, before, 8n * MiB);
    await convert(host, [top, mid, base], before, LONG);
    await rebase(host, top, { reference: 'base, "1"', format: 'qcow2' }, LONG);
    const chain = await readChain(host, top);
    expect(chain.map((each) => each.image)).toEqual([top, base]);
    expect(await compare(host, [top, base], [before], LONG)).toEqual({ same: true });
    await rebase(host, top, null, LONG);
    expect(await readChain(host, top)).toHaveLength(1);
    expect(await compare(host, [top], [before], LONG)).toEqual({ same: true });
  });

  test('safe: refuses to follow a chain that declares no format', async () => {
    forgetBackingFormat(at('mid=x:y'));
    await expect(rebase(host, top, null, LONG)).rejects.toMatchObject({ name: 'UndeclaredFormat' });
    expect((await info(host, top)).backing).toEqual({ reference: './mid=x:y', format: 'qcow2' });
  });

  test('relink: only the reference changes, and nothing is opened', async () => {
    await relinkBacking(host, top, { reference: 'json:x, "not there"', format: 'raw' });
    expect((await info(host, top)).backing).toEqual({ reference: 'json:x, "not there"', format: 'raw' });
    await relinkBacking(host, top, null);
    expect((await info(host, top)).backing).toBeNull();
    await relinkBacking(host, top, { reference: './mid=x:y', format: 'qcow2' });
    expect(await readChain(host, top)).toHaveLength(3);
  });
});

describe('check', () => {
  test('tells clean, leaking and corrupt images apart', async () => {
    expect(await check(host, mid, LONG)).toEqual({ verdict: 'clean' });
    expect(await check(host, { ...mid, format: 'raw' }, LONG)).toEqual({ verdict: 'unsupported' });
    // One more cluster at the end, with a reference count but nothing that refers to it.
    const bytes = Buffer.concat([readFileSync(at('mid=x:y')), Buffer.alloc(2 * CLUSTER)]);
    const clusters = Math.floor(bytes.length / CLUSTER);
    const refcountBlock = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))));
    bytes.writeUInt16BE(1, refcountBlock + 2 * (clusters - 1));
    writeFileSync(at('mid=x:y'), bytes);
    expect(await check(host, mid, LONG)).toMatchObject({ verdict: 'leaks', leaks: 1n });
    await check(host, mid, { ...LONG, repair: 'leaks' });
    expect(await check(host, mid, LONG)).toEqual({ verdict: 'clean' });
    const l1 = Number(bytes.readBigUInt64BE(40));
    const broken = readFileSync(at('mid=x:y'));
    broken.writeBigUInt64BE(1n << 40n, l1);
    writeFileSync(at('mid=x:y'), broken);
    expect(await check(host, mid, LONG)).toMatchObject({ verdict: 'corrupt' });
  });

  test('does not need the backing file', async () => {
    await host.unlink(at('base, "1"'));
    expect(await check(host, mid, LONG)).toEqual({ verdict: 'clean' });
  });
});

describe('map', () => {
  test('tells which image of the chain holds what', async () => {
    const extents = await map(host, [top, mid, base], LONG);
    expect(extents.map(({ start, length, depth, data }) => [start, length, depth, data])).toEqual([
      [0n, MiB, 2, true],
      [MiB, 2n * MiB, 1, true],
      [3n * MiB, MiB, 2, false],
      [4n * MiB, 65_536n, 0, true],
      [4n * MiB + 65_536n, 4n * MiB - 65_536n, 2, false],
    ]);
    expect(extents[0]).toMatchObject({ present: true, zero: false });
    expect(extents[2]).toMatchObject({ present: false, zero: true, offset: null });
  });
});

describe('resize', () => {
  test('grows, shrinks only when told, and hides a longer backing file', async () => {
    await resize(host, [top, mid, base], 16n * MiB);
    expect((await info(host, top)).virtualSize).toBe(16n * MiB);
    await expect(resize(host, [top, mid, base], MiB)).rejects.toMatchObject({ name: 'QemuImgError' });
    await resize(host, [top, mid, base], MiB, { shrink: true });
    await resize(host, [top, mid, base], 2n * MiB);
    const [, second] = await map(host, [top, mid, base], LONG);
    expect(second).toMatchObject({ start: MiB, length: MiB, zero: true, depth: 0 });
  });

  test('sizes beyond 2^53 stay exact', async () => {
    const huge = image('huge');
    const size = 2n ** 54n + 512n;
    await create(host, huge, size, { formatOptions: { cluster_size: 2_097_152 } });
    expect((await info(host, huge)).virtualSize).toBe(size);
  });
});

describe('measure', () => {
  test('measures chains and sizes', async () => {
    const chain = await measure(host, [top, mid, base], 'qcow2');
    expect(chain.required > 3n * MiB && chain.required < 5n * MiB).toBe(true);
    const size = await measure(host, 2n ** 50n, 'qcow2', { formatOptions: { cluster_size: 2_097_152 } });
    expect(size.fullyAllocated > 2n ** 50n).toBe(true);
    expect(await measure(host, MiB, 'raw')).toMatchObject({ required: MiB, fullyAllocated: MiB });
  });
});

describe('errors', () => {
  test('have a code, the place and a hint', async () => {
    await expect(info(host, image('none'))).rejects.toMatchObject({
      code: 'no-such-file',
      operation: 'info',
      location: image('none').location,
      hint: expect.stringMatching(/./),
    });
    await using _ = await startQemuNbd(at('top ü'), at('sock'));
    await expect(relinkBacking(host, top, null)).rejects.toMatchObject({ code: 'in-use' });
    const nobody: Image = {
      location: { kind: 'nbd', server: { socket: at('no sock') }, export: '' },
      format: 'raw',
    };
    await expect(info(host, nobody)).rejects.toMatchObject({ name: 'QemuImgError', code: 'unreachable' });
    await expect(create(host, image('no/dir'), MiB)).rejects.toMatchObject({
      name: 'FileError',
      code: 'ENOENT',
    });
  });

  test('a full file system is said to be full', async () => {
    const full = at('full');
    await host.mkdir(full);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1M', 'tmpfs', full]);
    try {
      const target: Image = { location: { kind: 'file', path: join(full, 'x') }, format: 'raw' };
      await create(host, target, 8n * MiB);
      const copy = convert(host, [mid, base], target, { ...LONG, direct: false });
      await expect(copy).rejects.toMatchObject({ code: 'no-space' });
    } finally {
      execFileSync('umount', [full]);
    }
  });

  test('an aborted verb ends', async () => {
    const stop = new AbortController();
    stop.abort();
    await expect(compare(host, [top], [top], { signal: stop.signal })).rejects.toMatchObject({
      code: 'aborted',
    });
  });
});
