// Chains as real images on a real file system, with names that trip naive tools.
import { execFileSync } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { localHost } from '../host/local.ts';
import { toRelativeReference } from '../image/backing.ts';
import { toJsonFilename } from '../image/blockdev.ts';
import type { Image } from '../image/location.ts';
import { fileName } from '../testing/locations.ts';
import { startQemuNbd } from '../testing/nbd-server.ts';
import { forgetBackingFormat } from '../testing/qcow2.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { readChain } from './chain.ts';
import { compare } from './compare.ts';
import { create, toReference } from './create.ts';
import { BrokenChain, UndeclaredFormat } from './errors.ts';

const MiB = 1024n * 1024n;
const host = localHost();
afterAll(() => host.close());

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
beforeEach(async () => {
  directory = await temporaryDirectory();
});
afterEach(() => directory.remove());

const at = (name: string) => join(directory.path, name);
const image = (name: string, format = 'qcow2'): Image => ({
  location: { kind: 'file', path: at(name) },
  format,
});
const qemuImg = (...args: string[]) => execFileSync('qemu-img', args, { cwd: directory.path, stdio: 'pipe' });
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

describe('reading a chain', () => {
  test('tells every image, top first, with sizes, formats and what else is in it', async () => {
    await create(host, image('base', 'raw'), 3n * MiB);
    await create(host, image('mid'), 3n * MiB, {
      backing: image('base', 'raw'),
      formatOptions: { cluster_size: 4096, lazy_refcounts: true },
    });
    qemuImg('snapshot', '-c', 'before', 'mid');
    qemuImg('bitmap', '--add', '-g', '65536', 'mid', 'b0');
    await create(host, image('top'), 4n * MiB, { backing: { reference: 'mid', format: 'qcow2' } });
    const [top, mid, base] = await readChain(host, image('top'));
    expect(top).toMatchObject({
      image: image('top'),
      virtualSize: 4n * MiB,
      clusterSize: 65_536n,
      backing: { reference: 'mid', format: 'qcow2', relative: true },
      stat: { type: 'file', mode: 0o600 },
    });
    expect(mid).toMatchObject({
      image: image('mid'),
      clusterSize: 4096n,
      lazyRefcounts: true,
      backing: { reference: at('base'), format: 'raw', relative: false },
      snapshots: [{ id: '1', name: 'before', vmStateSize: 0n }],
      bitmaps: [{ name: 'b0', granularity: 65_536n, flags: ['auto'] }],
      compat: '1.1',
      dirty: false,
      corrupt: false,
    });
    expect(base).toMatchObject({
      image: image('base', 'raw'),
      backing: null,
      length: 3n * MiB,
    });
    expect(mid?.allocated).toBe(mid?.stat?.allocated);
  });

  test('reads images that someone has open for writing', async () => {
    await create(host, image('base', 'raw'), MiB);
    await create(host, image('top'), MiB, { backing: image('base', 'raw') });
    await using _ = await startQemuNbd(at('top'), at('sock'), '', 'qcow2');
    expect(await readChain(host, image('top'))).toHaveLength(2);
  });

  test('goes over to NBD and to block devices', async () => {
    writeFileSync(at('disk'), Buffer.alloc(Number(MiB)));
    await using _ = await startQemuNbd(at('disk'), at('s o,c:k'), 'a/b c');
    const nbd: Image = {
      location: { kind: 'nbd', server: { socket: at('s o,c:k') }, export: 'a/b c' },
      format: 'raw',
    };
    await create(host, image('over-nbd'), MiB, { backing: nbd });
    const [, base] = await readChain(host, image('over-nbd'));
    expect(base).toMatchObject({ image: nbd, virtualSize: MiB, length: null, stat: null, allocated: null });
    expect(await compare(host, [image('over-nbd'), nbd], [nbd], { timeoutMs: 10_000 })).toEqual({
      same: true,
    });

    writeFileSync(at('disk2'), Buffer.alloc(Number(MiB)));
    const device = execFileSync('losetup', ['--show', '-f', at('disk2')], { encoding: 'utf8' }).trim();
    try {
      await create(host, image('over-device'), MiB, { backing: { reference: device, format: 'raw' } });
      const chain = await readChain(host, image('over-device'));
      expect(chain[1]).toMatchObject({ image: { location: { kind: 'block', path: device } }, length: MiB });
    } finally {
      execFileSync('losetup', ['-d', device]);
    }
  });

  test('never guesses: a backing file without a declared format is refused, or declared from outside', async () => {
    await create(host, image('base'), MiB);
    await create(host, image('top'), MiB, { backing: { reference: 'base', format: 'qcow2' } });
    forgetBackingFormat(at('top'));
    const error = await failure(readChain(host, image('top')));
    expect(error).toBeInstanceOf(UndeclaredFormat);
    expect(error).toMatchObject({ reference: 'base', image: image('top') });
    const chain = await readChain(host, image('top'), { formatOf: () => 'qcow2' });
    expect(chain.map((each) => each.image)).toEqual([image('top'), image('base')]);
  });

  test("a guest's header in a raw disk is data, not a chain", async () => {
    await create(host, image('secret', 'raw'), MiB);
    qemuImg('create', '-q', '-f', 'qcow2', '-b', at('secret'), '-F', 'raw', 'disk', '1M');
    const chain = await readChain(host, image('disk', 'raw'));
    expect(chain).toHaveLength(1);
    expect(chain[0]).toMatchObject({ backing: null, clusterSize: null });
  });

  test('names the image and the file when a backing file is missing', async () => {
    await create(host, image('top'), MiB, { backing: { reference: 'gone', format: 'qcow2' } });
    const error = await failure(readChain(host, image('top')));
    expect(error).toBeInstanceOf(BrokenChain);
    expect(error).toMatchObject({ why: 'missing', referrer: image('top'), reference: 'gone' });
    expect(String(error)).toContain(at('gone'));
    expect(await failure(readChain(host, image('nothing')))).toMatchObject({
      why: 'missing',
      referrer: null,
    });
  });

  test('opens no fifo, directory or character device', async () => {
    execFileSync('mkfifo', [at('fifo')]);
    for (const reference of [at('fifo'), directory.path, '/dev/zero']) {
      await create(host, image('top'), MiB, { backing: { reference, format: 'raw' }, overwrite: true });
      expect(await failure(readChain(host, image('top')))).toMatchObject({ why: 'not-an-image', reference });
    }
  });

  test('ends at a loop, also one through symlinks', async () => {
    await create(host, image('a'), MiB, { backing: { reference: 'b', format: 'qcow2' } });
    await create(host, image('b'), MiB, { backing: { reference: 'a', format: 'qcow2' } });
    expect(await failure(readChain(host, image('a')))).toMatchObject({ why: 'loop', referrer: image('b') });
    symlinkSync('.', at('d'));
    await create(host, image('c'), MiB, { backing: { reference: 'd/c', format: 'qcow2' } });
    expect(await failure(readChain(host, image('c')))).toMatchObject({ why: 'loop' });
  });

  test('refuses references that it does not understand', async () => {
    await create(host, image('top'), MiB, { backing: { reference: 'fat:/etc', format: 'raw' } });
    expect(await failure(readChain(host, image('top')))).toMatchObject({ why: 'unknown-reference' });
  });

  test('says what is wrong with a header', async () => {
    writeFileSync(at('text'), 'just text, no image');
    expect(await failure(readChain(host, image('text')))).toMatchObject({
      name: 'QemuImgError',
      code: 'not-this-format',
      message: expect.not.stringContaining('json:'),
    });
  });
});

describe('any file name', () => {
  test('works for images and their backing files: absolute, relative and json', async () => {
    const names = fc.uniqueArray(fileName, { minLength: 4, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(names, async ([baseName = '', lowName = '', midName = '', topName = '']) => {
        await using fresh = await temporaryDirectory();
        const named = (name: string): Image => ({
          location: { kind: 'file', path: `${fresh.path}/${name}` },
          format: 'qcow2',
        });
        const [base, low, mid, top] = [named(baseName), named(lowName), named(midName), named(topName)];
        await create(host, base, MiB);
        await create(host, low, MiB, { backing: base });
        await create(host, mid, MiB, {
          backing: { reference: toRelativeReference(lowName), format: 'qcow2' },
        });
        await create(host, top, MiB, {
          backing: { reference: toJsonFilename(mid, { ownBacking: true }), format: 'qcow2' },
        });
        expect(await host.readdir(fresh.path)).toHaveLength(4);
        const chain = await readChain(host, top);
        const plain = chain.map((each) => each.image);
        expect(plain[0]).toEqual(top);
        expect(plain[1]).toEqual(mid);
        expect(plain[3]).toEqual(base);
        expect(chain[1]?.backing?.relative).toBe(true);
        // And QEMU, following the references by itself, gets to the same end.
        const own = toJsonFilename(top, { ownBacking: true });
        const map = await host.run(['qemu-img', 'map', '--output=json', '-U', own]);
        expect(map).toMatchObject({ code: 0 });
      }),
      { numRuns: 15 },
    );
  });

  test('an existing file is never truncated unless told so', async () => {
    writeFileSync(at('precious'), 'data');
    expect(await failure(create(host, image('precious', 'raw'), MiB))).toMatchObject({ code: 'exists' });
    expect(await host.readFile(at('precious'))).toBe('data');
    await create(host, image('precious', 'raw'), MiB, { overwrite: true });
    expect((await host.stat(at('precious')))?.size).toBe(MiB);
  });

  test('references written for an image read back to it', () => {
    expect(toReference(image('a:b'))).toBe(at('a:b'));
    expect(toReference({ ...image('a', 'raw'), offset: 512n })).toContain('"offset":512');
  });
});
