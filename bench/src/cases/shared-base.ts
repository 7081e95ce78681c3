// Ten machines on one shared base, all moved to one directory: how much is copied.
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Image, makeChain, run, startIdle } from '@blockferry/testbed';
import { type Bench, type Case, turn } from '../bench.ts';
import { dropCachesOf } from '../measure/caches.ts';
import { Files } from '../measure/files.ts';
import { timed } from '../measure/timed-command.ts';
import { blockferryMover } from '../peers/blockferry.ts';
import type { Mover } from '../peers/mover.ts';
import { virshMover } from '../peers/virsh.ts';
import { type CaseResult, type Figure, timesBetter } from '../result.ts';

const MACHINES = 10;
const MIB = 1n << 20n;

interface Copied {
  readonly peer: string;
  readonly seconds: number;
  readonly megabytes: number;
}

export const sharedBase: Case = {
  name: 'shared-base',
  title: `${MACHINES} machines on one base`,
  run: async (bench: Bench): Promise<CaseResult> => {
    const { host, features } = bench;
    const [base, top] = [scaled(512, bench.size), scaled(64, bench.size)];
    const tops = await makeTops(join(host.imagesDir, 'shared'), base, top);
    const movers = [blockferryMover(host, features, { guard: 'off', verify: 'none' }), virshMover(host)];
    const all: Copied[] = [];
    for (let round = 0; round < bench.repeat; round++)
      for (const mover of turn(movers, round)) all.push(await moveAll(bench, tops, mover));
    const figures = movers.flatMap(({ name }): Figure[] => {
      const own = all.filter(({ peer }) => peer === name);
      return [
        { peer: name, what: 'at the destination', unit: 'MB', values: own.map(({ megabytes }) => megabytes) },
        { peer: name, what: 'time', unit: 's', values: own.map(({ seconds }) => seconds) },
      ];
    });
    const [ours = '', theirs = ''] = movers.map(({ name }) => name);
    const ratios = ['at the destination', 'time'].map((what) => timesBetter(figures, what, ours, theirs));
    const notes = [
      `base ${base / MIB} MiB, each top ${top / MIB} MiB: one base and ten tops are ${(base + 10n * top) / MIB} MiB`,
      ...(features.strategy === 'mirror'
        ? ['strategy mirror copies the base for each machine, as virsh does']
        : []),
    ];
    return { ...sharedBase, figures, ratios: ratios.filter((ratio) => ratio !== undefined), notes };
  },
};

function scaled(mebibytes: number, scale: number): bigint {
  return BigInt(Math.max(1, Math.round(mebibytes * scale))) * MIB;
}

async function makeTops(directory: string, base: bigint, top: bigint): Promise<readonly Image[]> {
  await mkdir(directory);
  const size = 2n * (base + top) + 256n * MIB;
  const tops: Image[] = [];
  const first = await makeChain(directory, ['base', 'vm1'], { size, fill: { base, vm1: top } });
  tops.push(first.top);
  for (let n = 2; n <= MACHINES; n++) {
    const path = join(directory, `vm${n}.qcow2`);
    await run(['cp', '--sparse=always', first.top.path, path]);
    tops.push({ path, format: 'qcow2' });
  }
  return tops;
}

/** One after the other, as an operator's loop would. The machines run, and write nothing. */
async function moveAll(bench: Bench, tops: readonly Image[], mover: Mover): Promise<Copied> {
  const { host } = bench;
  const directory = join(host.imagesDir, 'shared-destination');
  await mkdir(directory);
  const names = tops.map((_, n) => `bench-shared-${n + 1}`);
  const sources = await Files.in(dirname(tops[0]?.path ?? directory));
  try {
    for (const [n, top] of tops.entries())
      await startIdle(host, { name: names[n] ?? '', disks: [{ target: 'vda', ...top }] });
    await dropCachesOf(dirname(tops[0]?.path ?? directory));
    let seconds = 0;
    for (const domain of names) {
      const own =
        bench.features.strategy === 'layered' && mover.name !== 'virsh blockcopy'
          ? directory
          : join(directory, domain);
      await mkdir(own, { recursive: true });
      const command = mover.command({ domain, directory: own, scope: 'chain', mustConverge: false });
      const done = await timed({ ...command, capMs: 600_000 });
      if (done.ended !== 'well') throw new Error(`${mover.name}: ${domain}: ${done.said}`);
      seconds += done.seconds;
    }
    bench.say(`${sharedBase.name}: ${mover.name}: ${seconds.toFixed(1)} s`);
    return { peer: mover.name, seconds, megabytes: await allocated(directory) };
  } finally {
    for (const name of names) {
      await host.virsh('destroy', name).catch(() => undefined);
      await host.virsh('undefine', name, '--snapshots-metadata').catch(() => undefined);
    }
    await rm(directory, { recursive: true, force: true });
    await sources.removeOthers();
  }
}

async function allocated(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).blocks * 512;
  return bytes / 1e6;
}
