// Rounds of torture for migrations: to and fro between two hosts, whatever dies on either side.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ferry, Result } from '../crash/ferry.ts';
import { type FerryPair, startFerryPair } from '../crash/ferry-pair.ts';
import { seeded } from '../crash/seeded.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { until } from '../process/until.ts';
import { killStorageDaemons } from './daemons.ts';
import { drawVictims } from './draw.ts';

const SIDES = ['home', 'away'] as const;
type Side = (typeof SIDES)[number];

const VICTIMS = [
  'blockferry',
  'storage-daemon',
  ...(['libvirtd', 'qemu', 'host'] as const).flatMap((what) =>
    SIDES.map((side) => `${what} ${side}` as const),
  ),
] as const;
type Victim = (typeof VICTIMS)[number];

/** About as long as a migration takes from its first step on. */
const SPAN_MS = 9_000;

export type MigrationScore = Record<'migrated' | 'home', number>;

/**
 * Plays the rounds one after another. After each the guest runs on one of the two hosts and is not known on the other, all that
 * it was told is flushed is there, and nothing of ours is left.
 *
 * @param told called before each round, with what it does
 * @throws AssertionError of the first round whose promises do not hold, which says how to play it again
 */
export async function tortureMigrations(
  rounds: readonly number[],
  seed: number,
  told: (words: string) => void = () => {},
): Promise<MigrationScore> {
  const pair = await startFerryPair({ rate: 100 });
  const score: MigrationScore = { migrated: 0, home: 0 };
  try {
    for (const round of rounds) {
      const random = seeded(seed * 1_000_003 + round);
      const victims = drawVictims(random, VICTIMS);
      const afterMs = Math.round(random() * SPAN_MS);
      const options = random() < 0.5 ? ['--bandwidth', '8M'] : [];
      const what = `round ${round} of seed ${seed}: migrate, ${victims.join(', ')} after ${afterMs} ms`;
      told(what);
      score[await playMigration(pair, what, { victims, afterMs, options })] += 1;
    }
  } catch (cause) {
    // Nobody may see it so again.
    throw new Error(`${String(cause)}\n${await accountOf(pair)}`, { cause });
  } finally {
    await pair.stop();
  }
  return score;
}

type Round = {
  readonly victims: readonly Victim[];
  readonly afterMs: number;
  readonly options: readonly string[];
};

async function playMigration(pair: FerryPair, what: string, round: Round): Promise<'migrated' | 'home'> {
  const ferry = pair.migrate(round.options);
  await ferry.find('a step', (line) => line.type === 'step' || undefined);
  await sleep(round.afterMs);
  const killed = await strike(pair, ferry, round.victims);
  await carryOn(pair, killed ? undefined : await ferry.result(), what);
  const on = (await pair.states()).away === 'none' ? 'home' : 'away';
  await startWhereOff(pair);
  await pair.expectWhole(what, on);
  if (on === 'home') return 'home';
  await pair.turn();
  return 'migrated';
}

/** @returns whether blockferry was among them. Daemons that were killed run again. */
async function strike(pair: FerryPair, ferry: Ferry, victims: readonly Victim[]): Promise<boolean> {
  const dies = (what: string, side: Side) =>
    victims.some((victim) => victim === `${what} ${side}` || victim === `host ${side}`);
  // blockferry runs at home.
  const killed = victims.includes('blockferry') || victims.includes('host home');
  if (victims.includes('storage-daemon')) await killStorageDaemons(ferry);
  if (killed) await ferry.kill();
  for (const side of SIDES) {
    if (dies('libvirtd', side)) await pair[side].killLibvirtd();
    if (dies('qemu', side)) await killQemu(pair[side]);
    if (dies('libvirtd', side)) await pair[side].restartLibvirtd();
  }
  return killed;
}

async function killQemu(host: LibvirtHost): Promise<void> {
  if ((await host.qemuPid('vm')) !== undefined) await host.killQemu('vm');
}

/** What can be known of both sides. */
async function accountOf(pair: FerryPair): Promise<string> {
  const accounts = SIDES.map(async (side) => {
    const host = pair[side];
    const ask = (...argv: readonly string[]) => host.virsh(...argv).catch(String);
    const [state, status, jobs, xml] = await Promise.all([
      ask('domstate', 'vm', '--reason'),
      ask('qemu-monitor-command', 'vm', '{"execute":"query-status"}'),
      ask('qemu-monitor-command', 'vm', '{"execute":"query-block-jobs"}'),
      ask('dumpxml', 'vm'),
    ]);
    return [`=== ${side}`, state, status, jobs, xml, await host.logs()].join('\n');
  });
  return (await Promise.all(accounts)).join('\n');
}

/** As often as an operator would have patience for. */
const RESUMES = 8;

/** What an operator does: reads what it says, starts the domain where it asks for that, and types `resume`. */
async function carryOn(pair: FerryPair, first: Result | undefined, what: string): Promise<void> {
  let result = first;
  for (let resumes = 0; resumes < RESUMES; resumes += 1) {
    if (result !== undefined) {
      const { outcome, error } = result;
      if (['migrated', 'back', 'nothing'].includes(outcome)) return;
      if (error?.code === 'no-open-move' || (outcome === 'refused' && resumes === 0)) return;
      if (error?.code === 'domain-off') await startWhereOff(pair);
      assert.notEqual(outcome, 'question', `${what}: ${JSON.stringify(error)}`);
    }
    result = await pair.resume().result();
  }
  assert.fail(`${what}: not ended after ${RESUMES} times resume: ${JSON.stringify(result)}`);
}

/** Once libvirt has noticed that QEMU is gone, if it is. */
async function startWhereOff(pair: FerryPair): Promise<void> {
  for (const side of SIDES) {
    const host = pair[side];
    await until('libvirt knows', async () => {
      const said = (await host.virsh('domstate', 'vm').catch(() => 'none')).trim();
      const runs = (await host.qemuPid('vm')) !== undefined;
      return runs === (said !== 'none' && said !== 'shut off') || undefined;
    });
  }
  const { home, away } = await pair.states();
  if (away === 'shut off') await pair.start('away');
  else if (home === 'shut off' && away === 'none') await pair.start('home');
}
