// A full backup of a disk and its chain, against libvirt's own push of what the guest sees.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LibvirtHost, startIdle } from '@blockferry/testbed';
import { type Bench, type Case, turn } from '../bench.ts';
import { dropCachesOf } from '../measure/caches.ts';
import { type Line, type TimedCommand, timed } from '../measure/timed-command.ts';
import type { BenchChain } from '../moves/chain.ts';
import { blockferry } from '../peers/blockferry.ts';
import { BULK_SPEED, type CaseResult, type Figure, timesBetter } from '../result.ts';
import { benchChain } from './shared.ts';

const DOMAIN = 'bench-backup';

interface Peer {
  readonly name: string;
  readonly command: (host: LibvirtHost, directory: string) => Promise<Omit<TimedCommand, 'capMs'>>;
}

const PEERS: readonly Peer[] = [
  { name: 'blockferry', command: ours('--verify', 'none') },
  { name: 'blockferry, one image', command: ours('--verify', 'none', '--flatten') },
  { name: 'blockferry, verified', command: ours() },
  { name: 'virsh backup-begin', command: theirs },
];

interface Backed {
  readonly peer: string;
  readonly seconds: number;
  /** The full pass alone, where it is told. */
  readonly bulkMBps: number | undefined;
}

export const backup: Case = {
  name: 'backup',
  title: 'Full backup of a disk with its chain, the guest idle',
  run: async (bench: Bench): Promise<CaseResult> => {
    const chain = await benchChain(bench);
    const all: Backed[] = [];
    for (let round = 0; round < bench.repeat; round++) {
      for (const peer of turn(PEERS, round)) all.push(await backUp(bench, chain, peer));
    }
    const figures = PEERS.flatMap(({ name }) => figuresOf(name, all, chain.bytes));
    const theirName = PEERS.at(-1)?.name ?? '';
    const ratios = PEERS.slice(0, -1).map(({ name }) => timesBetter(figures, 'time', name, theirName));
    return {
      ...backup,
      figures,
      ratios: ratios.filter((ratio) => ratio !== undefined),
      notes: [
        'time is that of the whole command: ours freezes, copies, takes the guest back, checks, and sums all files (SHA-256)',
        'virsh backup-begin makes one image, and neither checks nor sums it',
      ],
    };
  },
};

async function backUp(bench: Bench, chain: BenchChain, peer: Peer): Promise<Backed> {
  const { host } = bench;
  const directory = join(host.imagesDir, 'backup-of-bench');
  await mkdir(directory, { mode: 0o755 });
  try {
    await startIdle(host, {
      name: DOMAIN,
      disks: [{ target: 'vda', ...chain.top, driver: { cache: 'none' } }],
    });
    await dropCachesOf(chain.directory);
    const command = await peer.command(host, directory);
    const done = await timed({ ...command, capMs: 900_000 });
    if (done.ended !== 'well') throw new Error(`${peer.name}: ${done.said}`);
    bench.say(`${backup.name}: ${peer.name}: ${done.seconds.toFixed(1)} s`);
    return { peer: peer.name, seconds: done.seconds, bulkMBps: passOf(done.lines) };
  } finally {
    await host.virsh('destroy', DOMAIN).catch(() => undefined);
    await host.virsh('undefine', DOMAIN, '--checkpoints-metadata').catch(() => undefined);
    await rm(directory, { recursive: true, force: true });
  }
}

function figuresOf(peer: string, all: readonly Backed[], bytes: bigint): Figure[] {
  const own = all.filter((each) => each.peer === peer);
  const passes = own.flatMap(({ bulkMBps }) => bulkMBps ?? []);
  return [
    { peer, what: 'time', unit: 's', values: own.map(({ seconds }) => seconds) },
    { peer, what: 'speed', unit: 'MB/s', values: own.map(({ seconds }) => Number(bytes) / 1e6 / seconds) },
    ...(passes.length === 0 ? [] : [{ peer, what: BULK_SPEED, unit: 'MB/s' as const, values: passes }]),
  ];
}

function ours(...options: readonly string[]): Peer['command'] {
  return async (host, directory) => ({
    argv: [
      ...[blockferry, '-c', host.uri, 'backup', DOMAIN, join(directory, 'to')],
      ...['--guard', 'off', '--no-checkpoint', ...options, '--json'],
    ],
    env: { BLOCKFERRY_STATE_DIR: join(host.directory, 'bench-state') },
  });
}

// virsh waits for no backup: it is asked ten times a second whether it is over.
const WAIT =
  'virsh -c "$1" backup-begin "$2" "$3" && until virsh -c "$1" domjobinfo "$2" | grep -q None; do sleep 0.1; done';

async function theirs(host: LibvirtHost, directory: string): Promise<Omit<TimedCommand, 'capMs'>> {
  const file = join(host.directory, 'guest', 'bench-backup.xml');
  const target = `<driver type='qcow2'/><target file='${join(directory, 'vda.qcow2')}'/>`;
  await writeFile(
    file,
    `<domainbackup><disks><disk name='vda' type='file'>${target}</disk></disks></domainbackup>`,
  );
  return { argv: ['sh', '-c', WAIT, 'sh', host.uri, DOMAIN, file] };
}

/** From when bytes began to be counted to when all were; undefined when that was too short to see. */
function passOf(lines: readonly Line[]): number | undefined {
  const steps = lines.flatMap(({ at, text }) => {
    const { stage, done, total } = { ...EMPTY, ...parsed(text) };
    const counted = stage === 'copying' && typeof done === 'number' && typeof total === 'number' && total > 0;
    return counted ? [{ at, done, whole: done >= total }] : [];
  });
  const begin = steps.find(({ done }) => done > 0);
  const end = steps.find(({ whole }) => whole);
  if (begin === undefined || end === undefined || end.at - begin.at < 1) return undefined;
  return (end.done - begin.done) / 1e6 / (end.at - begin.at);
}

const EMPTY = { stage: undefined, done: undefined, total: undefined };

function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {}; // words for people
  }
}
