// Moves the same disk with each peer in turn, round after round, with the guest alone in between.
import { type Bench, turn } from '../bench.ts';
import type { MoveRequest, Mover } from '../peers/mover.ts';
import { BULK_SPEED, type CaseResult, type Figure, median, type Ratio, timesBetter } from '../result.ts';
import type { BenchChain } from './chain.ts';
import {
  BLOCK_BYTES,
  type GuestLoad,
  type MoveOptions,
  type MoveRun,
  measuredIdle,
  measuredMove,
} from './measured-move.ts';

/** Freeze, switch and collapse apart. */
const P95_COPYING = 'write p95, copying';

export interface Comparison extends GuestLoad {
  readonly name: string;
  readonly title: string;
  readonly chain: BenchChain;
  readonly scope: MoveRequest['scope'];
  /** Ours first, theirs last. */
  readonly movers: readonly Mover[];
  /** What is to be copied. */
  readonly bytes: bigint;
  readonly capSeconds: number;
  readonly notes?: readonly string[];
}

export async function compareMoves(bench: Bench, comparison: Comparison): Promise<CaseResult> {
  const { chain, scope, rate, capSeconds, movers } = comparison;
  const options: MoveOptions = { chain, scope, rate, capMs: capSeconds * 1000 };
  const runs: MoveRun[] = [];
  for (let round = 0; round < bench.repeat; round++) {
    runs.push(await measuredIdle(bench, options, Math.max(1, Math.min(8, 8 * bench.size))));
    for (const mover of turn(movers, round)) {
      const run = await measuredMove(bench, mover, options);
      runs.push(run);
      bench.say(`${comparison.name}, round ${round + 1}: ${mover.name}: ${inWords(run)}`);
    }
  }
  const peers = ['idle', ...movers.map(({ name }) => name)];
  const figures = peers.flatMap((peer) => figuresOf(peer, runs, comparison.bytes));
  return {
    name: comparison.name,
    title: comparison.title,
    figures,
    ratios: ratiosOf(
      figures,
      movers.map(({ name }) => name),
    ),
    notes: [...(comparison.notes ?? []), ...failures(runs)],
  };
}

function inWords({ ended, seconds, guest, said }: MoveRun): string {
  const how =
    ended === 'well'
      ? ''
      : ended === 'capped'
        ? ' (not finished) '
        : ` (failed: ${said.trim().slice(-300)}) `;
  return `${seconds.toFixed(2)} s${how}, writes ${guest.meanMs.toFixed(2)} ms mean, ${guest.p95Ms.toFixed(2)} ms p95`;
}

/** Times count for moves that ended well; what the guest felt counts for those that were cut short, too. */
function figuresOf(peer: string, all: readonly MoveRun[], bytes: bigint): Figure[] {
  const felt = all.filter((run) => run.peer === peer && run.ended !== 'badly');
  const ended = peer === 'idle' ? [] : felt.filter((run) => run.ended === 'well');
  const idle = all.filter((run) => run.peer === 'idle');
  const idleQemu = median(idle.map((run) => run.qemuCpu / run.seconds));
  const figure = (
    what: string,
    unit: Figure['unit'],
    runs: readonly MoveRun[],
    of: (run: MoveRun) => number,
  ) => (runs.length === 0 ? [] : [{ peer, what, unit, values: runs.map(of) }]);
  const copying = felt.flatMap(({ guest, guestWhileCopying }) =>
    peer === 'idle' ? guest : (guestWhileCopying ?? []),
  );
  const apart = felt.flatMap(({ gapApartMs }) => gapApartMs ?? []);
  return [
    ...figure('time', 's', ended, (run) => run.seconds),
    ...figure('speed', 'MB/s', ended, (run) => Number(bytes) / 1e6 / run.seconds),
    ...toldFigures(peer, ended),
    ...figure('write mean', 'ms', felt, (run) => run.guest.meanMs),
    ...figure('write p95', 'ms', felt, (run) => run.guest.p95Ms),
    ...(copying.length === 0
      ? []
      : [{ peer, what: P95_COPYING, unit: 'ms' as const, values: copying.map(({ p95Ms }) => p95Ms) }]),
    ...figure('write p99', 'ms', felt, (run) => run.guest.p99Ms),
    ...figure('worst write', 'ms', felt, (run) => run.guest.worstMs),
    ...figure('longest gap', 'ms', felt, (run) => run.guest.longestGapMs),
    ...(apart.length === 0
      ? []
      : [{ peer, what: 'longest gap, not copying', unit: 'ms' as const, values: apart }]),
    ...figure('guest writes', 'MB/s', felt, (run) => (run.guest.writesPerSecond * BLOCK_BYTES) / 1e6),
    ...figure('tool', 'cpu s', ended, (run) => run.toolCpu),
    ...figure('storage daemon', 'cpu s', ended, (run) => run.daemonCpu),
    ...figure('QEMU, more than idle', 'cpu s', ended, (run) => run.qemuCpu - idleQemu * run.seconds),
    ...figure('libvirtd', 'cpu s', ended, (run) => run.libvirtCpu),
  ];
}

function ratiosOf(figures: readonly Figure[], peers: readonly string[]): Ratio[] {
  const theirs = peers.at(-1) ?? '';
  const ours = peers.slice(0, -1);
  return [
    ...['time', 'write p95', 'longest gap'].flatMap((what) =>
      ours.map((each) => timesBetter(figures, what, each, theirs)),
    ),
    ...peers.map((peer) => timesIdle(figures, 'write p95', peer)),
    ...ours.map((each) => timesIdle(figures, P95_COPYING, each)),
  ].filter((ratio) => ratio !== undefined);
}

/** The medians of the rounds are those of each phase: they need not add up to that of the time. */
function toldFigures(peer: string, runs: readonly MoveRun[]): Figure[] {
  const told = runs.map((run) => run.told).filter((each) => each !== undefined);
  const speeds = told.map(({ bulkMBps }) => bulkMBps).filter((speed) => speed !== undefined);
  const phases = [...new Set(told.flatMap((each) => [...each.phases.keys()]))];
  return [
    ...(speeds.length === 0 ? [] : [{ peer, what: BULK_SPEED, unit: 'MB/s' as const, values: speeds }]),
    ...phases.map((phase) => {
      const values = told.map((each) => each.phases.get(phase) ?? 0);
      return { peer, what: `  phase ${phase}`, unit: 's' as const, values };
    }),
  ];
}

/** What the guest felt during the move as a multiple of what it feels alone: here 1 is best. */
function timesIdle(figures: readonly Figure[], what: string, peer: string): Ratio | undefined {
  const better = timesBetter(figures, what, 'idle', peer);
  return (
    better && { what: `${what} during ${peer}, as a multiple of idle (less is better)`, value: better.value }
  );
}

function failures(runs: readonly MoveRun[]): string[] {
  return runs
    .filter((run) => run.ended !== 'well')
    .map(({ peer, ended, seconds, said }) =>
      ended === 'capped'
        ? `${peer} had not ended after ${seconds.toFixed(0)} s`
        : `FAILED: ${peer}: ${said.trim()}`,
    );
}
