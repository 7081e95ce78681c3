// One move of a fresh guest's disk, measured from the outside and by the guest itself; or the same time without a move.
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Guest, guestWriter, type Latencies, startGuest } from '@blockferry/testbed';
import type { Bench } from '../bench.ts';
import { dropCachesOf } from '../measure/caches.ts';
import { cpuSeconds } from '../measure/cpu.ts';
import { Files } from '../measure/files.ts';
import { type Timed, timed } from '../measure/timed-command.ts';
import type { MoveRequest, Mover } from '../peers/mover.ts';
import type { Told } from '../peers/told.ts';
import type { BenchChain } from './chain.ts';

export interface GuestLoad {
  /** Writes of 16 KiB a second; 512 are 8 MiB/s, the load that the project's figures are told for. */
  readonly rate: number | 'max';
}

export interface MoveRun {
  readonly peer: string;
  readonly ended: Timed['ended'];
  readonly seconds: number;
  readonly guest: Latencies;
  /** During the phase `copying` alone, of a peer that tells its phases. */
  readonly guestWhileCopying: Latencies | undefined;
  /** Of the guest before and after it: at freeze and switch. */
  readonly gapApartMs: number | undefined;
  readonly toolCpu: number;
  readonly daemonCpu: number;
  readonly libvirtCpu: number;
  /** Of QEMU, the guest's own work included. */
  readonly qemuCpu: number;
  readonly said: string;
  readonly told: Told | undefined;
}

export const BLOCK_BYTES = 16_384;
const WARM_UP_MS = { least: 500, most: 2_000 };
/** The guest tells its latencies every quarter of a second: so long after the end the last of them is there. */
const LAST_WORD_MS = 300;
const MARK_EVERY_MS = 200;
let runs = 0;

export interface MoveOptions extends GuestLoad {
  readonly chain: BenchChain;
  readonly scope: MoveRequest['scope'];
  /** Longer is no answer: the move is ended and counts as one that does not. */
  readonly capMs: number;
}

/** Moves the disk of a guest that was started for it, and removes everything again. */
export function measuredMove(bench: Bench, mover: Mover, options: MoveOptions): Promise<MoveRun> {
  return withGuest(bench, options, async (guest, directory) => {
    const { scope, rate, capMs } = options;
    const request: MoveRequest = { domain: guest.name, directory, scope, mustConverge: rate === 'max' };
    const command = mover.command(request);
    const act = () => timed({ ...command, capMs });
    const run = await observed(bench, guest, mover.name, act, mover.told);
    const moved = (await bench.host.virsh('domblklist', guest.name)).includes(directory);
    if (run.ended !== 'well' || moved === (mover.stays !== true)) return run;
    return { ...run, ended: 'badly', said: `${run.said}\nthe disk is ${moved ? 'not ' : ''}where it was` };
  });
}

/** The same guest for so long with nothing going on. */
export function measuredIdle(bench: Bench, options: MoveOptions, seconds: number): Promise<MoveRun> {
  return withGuest(bench, options, (guest) =>
    observed(bench, guest, 'idle', async () => {
      await sleep(seconds * 1000);
      return { ended: 'well', seconds, toolCpu: 0, daemonCpu: 0, said: '', lines: [] };
    }),
  );
}

async function withGuest(
  bench: Bench,
  { chain, rate }: MoveOptions,
  use: (guest: Guest, directory: string) => Promise<MoveRun>,
): Promise<MoveRun> {
  const { host } = bench;
  const name = `bench-${++runs}`;
  const directory = join(host.imagesDir, name);
  const sources = await Files.in(chain.directory);
  await mkdir(directory);
  await dropCachesOf(chain.directory);
  const direct = bench.cache === 'none' ? { cache: 'none', io: 'native' } : {};
  const driver = { ...direct, discard: 'unmap' };
  // A flush every 64 writes, as a file system's journal would; pacing goes write by write.
  const writer = { blockBytes: BLOCK_BYTES, rate, batch: 64, readback: false };
  const guest = await startGuest(host, {
    name,
    disks: [{ target: 'vda', ...chain.top, driver }],
    writers: [guestWriter('vda', chain.region, writer)],
  });
  try {
    await sleep(Math.max(WARM_UP_MS.least, Math.min(1, bench.size) * WARM_UP_MS.most));
    return await use(guest, directory);
  } finally {
    await guest.stop();
    await host
      .virsh('undefine', name, '--snapshots-metadata', '--checkpoints-metadata')
      .catch(() => undefined);
    await rm(directory, { recursive: true, force: true });
    await sources.removeOthers();
  }
}

async function observed(
  { host }: Bench,
  guest: Guest,
  peer: string,
  act: () => Promise<Timed>,
  told?: Mover['told'],
): Promise<MoveRun> {
  const pids = [await host.qemuPid(guest.name), await host.libvirtdPid()];
  const cpu = () => Promise.all(pids.map(cpuSeconds));
  const mark = await guest.latencyMark();
  const before = await cpu();
  const marks = new Marks(guest);
  const done = await act();
  const [qemuCpu = 0, libvirtCpu = 0] = (await cpu()).map((seconds, n) => seconds - (before[n] ?? 0));
  await sleep(LAST_WORD_MS);
  const { lines, ...outside } = done;
  const latencies = await guest.latencies(mark);
  const said = told?.(lines, done.seconds);
  const copying = await marks.spanOf(said, 'copying');
  const around = copying && [await guest.latencies(mark, copying.from), await guest.latencies(copying.to)];
  return {
    peer,
    ...outside,
    guest: latencies,
    guestWhileCopying: copying && (await guest.latencies(copying.from, copying.to)),
    gapApartMs: around && Math.max(...around.map(({ longestGapMs }) => longestGapMs)),
    qemuCpu,
    libvirtCpu,
    told: said,
  };
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Where the guest's report stood at which moment, so that afterwards it can be cut where a phase began and ended. */
class Marks {
  readonly #guest: Guest;
  readonly #began = performance.now();
  readonly #marks: { readonly at: number; readonly mark: number }[] = [];
  readonly #ended: Promise<void>;
  #over = false;

  constructor(guest: Guest) {
    this.#guest = guest;
    this.#ended = this.#collect();
  }

  async #collect(): Promise<void> {
    while (!this.#over) {
      const mark = await this.#guest.latencyMark();
      this.#marks.push({ at: (performance.now() - this.#began) / 1000, mark });
      await sleep(MARK_EVERY_MS);
    }
  }

  /** The marks of a phase; undefined where it is not told, or too short for a report. Ends the collecting. */
  async spanOf(told: Told | undefined, phase: string): Promise<Span | undefined> {
    this.#over = true;
    await this.#ended;
    const names = [...(told?.phases.keys() ?? [])];
    const at = names.indexOf(phase);
    const seconds = (upTo: number) =>
      names.slice(0, upTo).reduce((sum, name) => sum + (told?.phases.get(name) ?? 0), 0);
    const first = this.#marks.find((each) => each.at >= seconds(at));
    const last = this.#marks.findLast((each) => each.at <= seconds(at + 1));
    if (at < 0 || first === undefined || last === undefined || last.mark <= first.mark) return undefined;
    return { from: first.mark, to: last.mark };
  }
}
