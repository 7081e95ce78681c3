// The sum that is reckoned while an image is copied is the one of its copy, or there is none.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { describeEachHost } from '../../../../qemu/src/testing/each-host.ts';
import { relink } from '../../layers/index.ts';
import type { LayerPlan } from '../../layers/layer-plan.ts';
import { Bench, MiB } from '../../layers/testing/bench.ts';
import type { Layer } from '../../model/record.ts';
import { sha256Of } from '../hash.ts';
import { CopySums } from './copy-sums.ts';
import { FileSums } from './file-sums.ts';
import { RunningSum } from './running-sum.ts';

const HOLES = ['write -P 1 0 3M', 'write -P 2 5M 64k', 'write -P 3 30M 1M'];

class Copying extends Bench {
  readonly sums = new CopySums(this.host, AbortSignal.timeout(240_000));

  /** `a, b=c` over `base`, as in a guest's chain. */
  makeTop(...commands: string[]): LayerPlan {
    this.make('base', 'qcow2', '64M', 'write -P 9 0 1M');
    this.run('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', 'a, b=c');
    this.write('a, b=c', 'qcow2', ...commands);
    return this.plan(this.image('a, b=c', 'qcow2'), 'vda.qcow2');
  }

  async followed(plan: LayerPlan, backing?: Layer['backing'], verify = true): Promise<void> {
    const [from, to] = [plan.from, plan.to].map(({ location, format }) => {
      if (location.kind !== 'file') throw new Error('a file');
      return { source: { kind: 'file' as const, path: location.path }, format };
    });
    if (from === undefined || to === undefined) throw new Error('two images');
    const layer: Layer = { from, to, how: 'bytes', ...(backing && { backing }) };
    await this.copyAll([plan], { verify, follower: this.sums.follow(() => layer) });
    if (backing === undefined) return;
    const below = { image: { ...plan.to, format: backing.format }, reference: backing.reference };
    await relink(this.host, [{ image: plan.to, backing: below }]);
  }

  of(name: string) {
    return this.sums.of(this.path(name));
  }

  /** By coreutils, of the file as it is now. */
  async truth(name: string) {
    const [sha256] = this.run('sha256sum', name).split(' ');
    const { size } = await sha256Of(this.host, this.path(name), { signal: AbortSignal.timeout(240_000) });
    return { sha256, size };
  }
}

test.each([true, false])('a copy whose backing link is rewritten (verified: %s)', async (verify) => {
  await using copying = new Copying();
  copying.run('mkdir', 'temporary');
  vi.stubEnv('TMPDIR', copying.path('temporary'));
  try {
    await copying.followed(copying.makeTop(...HOLES), { reference: 'vda-1.qcow2', format: 'qcow2' }, verify);
    expect(await copying.of('vda.qcow2')).toEqual(await copying.truth('vda.qcow2'));
    expect(copying.same('a, b=c', 'vda.qcow2')).toBe(false);
    expect(readdirSync(copying.path('temporary'))).toEqual([]);
  } finally {
    vi.unstubAllEnvs();
  }
});

/** All programs that are found, but these. */
function programsBut(directory: string, left: RegExp): string {
  for (const from of ['/usr/bin', '/bin', '/usr/sbin']) {
    for (const name of readdirSync(from).filter((each) => !left.test(each))) {
      if (!existsSync(join(directory, name))) symlinkSync(join(from, name), join(directory, name));
    }
  }
  return directory;
}

test.each([
  ['Python', /^$/],
  ['openssl', /^python/],
  ['coreutils', /^(python|openssl)/],
])('%s sums what lies here and there, in whatever pieces', async (_, left) => {
  await using files = new Bench();
  files.run('mkdir', 'programs');
  vi.stubEnv('PATH', programsBut(files.path('programs'), left));
  try {
    const [whole, signal] = [randomBytes(3_000_001), AbortSignal.timeout(240_000)];
    // Some of it is elsewhere, and the image has other bytes there.
    const image = Buffer.from(whole).fill(0, 1_000_000, 1_500_000);
    writeFileSync(files.path('image'), image);
    writeFileSync(
      files.path('a part'),
      Buffer.concat([Buffer.alloc(777), whole.subarray(1_000_000, 1_500_000)]),
    );
    const request = { image: files.path('image'), total: 3_000_001n, backing: undefined };
    const sum = new RunningSum(files.host, request, signal);
    expect(await sum.add({ offset: 0n, length: 999_999n })).toBe(true);
    const kept = { path: files.path('a part'), offset: 777n };
    expect(await sum.add({ offset: 1_000_000n, length: 500_000n, kept })).toBe(true);
    expect(sum.read).toBe(1_500_000n);
    expect(await sum.add({ offset: 1_200_000n, length: 100_000n })).toBe(true);
    const sha256 = createHash('sha256').update(whole).digest('hex');
    expect(await sum.result()).toMatchObject({ sha256, size: 3_000_001n });
  } finally {
    vi.unstubAllEnvs();
    await files.host.close();
  }
});

describeEachHost('what is summed', (on) => {
  test('sha256sum sums alike, however the file is read, and whatever its name', async () => {
    await using files = new Bench(on.directory);
    const [name, signal] = ["it's a, b=c", AbortSignal.timeout(240_000)];
    files.make(name, 'raw', '8M', 'write -P 1 0 3M', 'write -P 2 5M 64k');
    const [sha256] = files.run('sha256sum', '--', name).split(' ');
    const path = on.path(name);
    expect(await sha256Of(on.host, path, { signal })).toEqual({ sha256, size: 8n * MiB });
    const sum = new RunningSum(on.host, { image: path, total: 8n * MiB, backing: undefined }, signal);
    for (let mib = 0n; mib < 7n; mib += 2n) void sum.add({ offset: mib * MiB, length: MiB });
    expect(await sum.result()).toMatchObject({ sha256, size: 8n * MiB });
    const read = new FileSums(on.host, [{ path, size: 8n * MiB }]);
    await read.setSpeed(64n * MiB);
    await read.run(signal);
    expect(read.sums.get(path)).toEqual({ sha256, size: 8n * MiB });
    expect(read.progress().copiedNow).toBe(8n * MiB);
  });
});

test.each([1, 65_535, 65_537, 3_000_001])('%i bytes', async (length) => {
  await using copying = new Copying();
  writeFileSync(copying.path('odd'), Buffer.alloc(length, 7));
  await copying.followed(copying.plan(copying.image('odd', 'raw'), 'copy'));
  expect(await copying.of('copy')).toEqual(await copying.truth('copy'));
});

test('an image alone keeps its bitmaps, which nobody writes anew', async () => {
  await using copying = new Copying();
  const from = copying.make('alone', 'qcow2', '64M', ...HOLES);
  copying.run('qemu-img', 'bitmap', '--add', 'alone', 'checkpoint');
  await copying.followed(copying.plan(from, 'copy'));
  expect(await copying.of('copy')).toEqual(await copying.truth('copy'));
});

test('where the link is rewritten and bitmaps with it, the copy has to be read', async () => {
  await using copying = new Copying();
  const plan = copying.makeTop(...HOLES);
  copying.run('qemu-img', 'bitmap', '--add', 'a, b=c', 'checkpoint');
  await copying.followed(plan, { reference: 'vda-1.qcow2', format: 'qcow2' });
  expect(await copying.of('vda.qcow2')).toBeUndefined();
});

test('a copy that was written to after it was finished has to be read', async () => {
  await using copying = new Copying();
  copying.make('base', 'raw', '8M', 'write -P 1 0 8M');
  await copying.followed(copying.plan(copying.image('base', 'raw'), 'copy'));
  expect(await copying.of('copy')).toBeDefined();
  utimesSync(copying.path('copy'), 1, 1);
  expect(await copying.of('copy')).toBeUndefined();
});

test('a copy whose link is another than was foreseen has to be read', async () => {
  await using copying = new Copying();
  const plan = copying.makeTop(...HOLES);
  await copying.followed(plan, { reference: 'vda-1.qcow2', format: 'qcow2' });
  await relink(copying.host, [{ image: plan.to, backing: { image: plan.to, reference: 'other' } }]);
  expect(await copying.of('vda.qcow2')).toBeUndefined();
});

test('a copy that is gone on with is read: what is there already is not read again for its sum', async () => {
  await using copying = new Copying();
  const plan = copying.plan(copying.make('base', 'raw', '8M', 'write -P 1 0 8M'), 'copy');
  const ending = new AbortController();
  const follower = {
    follows: () => true,
    read: async (_: unknown, { offset }: { offset: bigint }) => {
      if (offset > 4n * MiB) ending.abort(new Error('stopped'));
    },
    finished: () => {},
  };
  await expect(copying.copy([plan], { follower }).run(ending.signal)).rejects.toThrow('stopped');
  await copying.followed(plan);
  expect(copying.same('base', 'copy')).toBe(true);
  expect(await copying.of('copy')).toBeUndefined();
});

test('an image that is shorter than was said has no sum, nor has one that is not there, nor a copy nobody followed', async () => {
  await using copying = new Copying();
  copying.make('base', 'raw', '8M');
  const signal = AbortSignal.timeout(240_000);
  const of = (name: string) => {
    const request = { image: copying.path(name), total: 16n * MiB, backing: undefined };
    return new RunningSum(copying.host, request, signal).result();
  };
  expect(await of('base')).toBeUndefined();
  expect(await of('nothing')).toBeUndefined();
  expect(await copying.of('base')).toBeUndefined();
});
