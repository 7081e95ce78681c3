// One round of torture: a layered move or an image, whatever dies in it, and what must be true in the end.
import assert from 'node:assert/strict';
import { rm, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Berth } from '../crash/berth.ts';
import { expectImage } from '../crash/expect-image.ts';
import type { Ferry, Result } from '../crash/ferry.ts';
import { expectLayersMoved } from '../crash/layered-moves.ts';
import { diskOf } from '../crash/sweep.ts';
import { chainOf, expectWhole } from '../crash/whole.ts';
import { failingFileSystem, smallFileSystem } from '../faults/file-system.ts';
import { verifyAcknowledged } from '../guest/verify.ts';
import { descendantsRunning } from '../process/descendants.ts';
import { until } from '../process/until.ts';

/** What can die, or be full or broken for a while. With `host`, everything dies at once. */
export const VICTIMS = [
  'blockferry',
  'storage-daemon',
  'libvirtd',
  'qemu',
  'host',
  'destination-full',
  'destination-eio',
] as const;
export type Victim = (typeof VICTIMS)[number];

export type Round = {
  readonly victims: readonly Victim[];
  /** From the first step of the move. */
  readonly afterMs: number;
  readonly options: readonly string[];
  /** Whether somebody starts the domain before the move goes on, if it is off. */
  readonly startsAgain: boolean;
  /** An image is made, and the disk not moved. */
  readonly copies: boolean;
};

/** Draws a round; the same numbers give the same round. */
export function drawRound(random: () => number, spanMs: number): Round {
  const first = VICTIMS[Math.floor(random() * VICTIMS.length)] ?? 'blockferry';
  const second = VICTIMS[Math.floor(random() * VICTIMS.length * 3)];
  const victims = second === undefined || second === first ? [first] : [first, second];
  const bandwidth = random() < 0.5 ? ['--bandwidth', '8M'] : [];
  return {
    victims,
    afterMs: Math.round(random() * spanMs),
    options: ['--guard', 'off', ...bandwidth],
    startsAgain: random() < 0.5,
    copies: random() < 0.3,
  };
}

export type Outcome = 'moved' | 'back' | 'copied' | 'answered';

/**
 * Plays one round. In the end the move has ended, the guest runs on one complete chain, every acknowledged write is there,
 * the definition is true, no file of ours is left, and nothing was copied again that was verified.
 *
 * @param ends gets what must be stopped after the host
 * @throws AssertionError for any of these
 */
export async function playRound(
  berth: Berth,
  what: string,
  round: Round,
  ends: AsyncDisposableStack,
): Promise<Outcome> {
  const before = await chainOf(berth.disk);
  const storage = await storageFor(berth, round.victims, ends);
  const { directory } = storage;
  const image = join(directory, 'image.qcow2');
  const said = await berth.guest.acknowledged();
  const ferry = round.copies
    ? berth.ferry(['image', berth.name, image, '--compress', ...round.options])
    : berth.moveLayers(directory, round.options);
  // Before its first step nothing can go wrong.
  await ferry.step('record');
  await sleep(round.afterMs);
  await storage.spoil(ferry);
  const killed = await strike(berth, ferry, round.victims);
  await storage.mend();
  await revive(berth, round.startsAgain);
  const { outcome, answered } = await carryOn(berth, ferry, killed);
  const running = /running/.test(await berth.virsh('domstate'));
  const disk = await definedOn(berth);
  if (round.copies) {
    const copied = outcome === 'copied' || (outcome === 'nothing' && (await isThere(image)));
    if (copied) await expectImage(image, said, what);
    await expectWhole(berth, what, { on: berth.disk, running, besides: copied ? [image] : [] });
    if (copied) await rm(image);
    return answered ? 'answered' : copied ? 'copied' : 'back';
  }
  if (outcome === 'moved' || (outcome === 'nothing' && disk.startsWith(`${directory}/`))) {
    await expectLayersMoved(berth, what, before, directory, { running });
    return answered ? 'answered' : 'moved';
  }
  await expectWhole(berth, what, { on: berth.disk, running });
  return 'back';
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/** Long enough for everything that writes there to find it so. */
const SPOILT_MS = 1_500;
const mebibyte = 1024n * 1024n;

/** Where a round moves to: it stays until the host stops, for the guest may live there from now on. */
interface Storage {
  readonly directory: string;
  spoil(ferry: Ferry): Promise<void>;
  mend(): Promise<void>;
}

async function storageFor(
  berth: Berth,
  victims: readonly Victim[],
  ends: AsyncDisposableStack,
): Promise<Storage> {
  const directory = await berth.newDirectory();
  const place = relative(berth.host.imagesDir, directory);
  const options = { bytes: 160n * mebibyte, name: join(place, `${berth.name}-${basename(place)}`) };
  if (victims.includes('destination-full')) {
    const storage = await smallFileSystem(berth.host, options);
    return {
      directory: storage.directory,
      spoil: () => storage.fillUp(),
      mend: async () => {
        await sleep(SPOILT_MS);
        await storage.makeRoom();
      },
    };
  }
  if (victims.includes('destination-eio')) {
    const storage = ends.use(await failingFileSystem(berth.host, options));
    return {
      directory: storage.directory,
      // A guest that lives there would see it as well.
      spoil: async (ferry) => {
        if (ferry.lines.findLast((line) => line.type === 'step')?.step === 'copy-layers')
          await storage.fail();
      },
      mend: async () => {
        await sleep(SPOILT_MS);
        await storage.heal();
      },
    };
  }
  return { directory, spoil: async () => {}, mend: async () => {} };
}

async function definedOn(berth: Berth): Promise<string> {
  const running = /running/.test(await berth.virsh('domstate'));
  if (running) return (await diskOf(berth)) ?? '';
  return /<source file='([^']*)'/.exec(await berth.virsh('dumpxml', '--inactive'))?.[1] ?? '';
}

/** @returns whether blockferry was among them */
async function strike(berth: Berth, ferry: Ferry, victims: readonly Victim[]): Promise<boolean> {
  const all = victims.includes('host');
  const dies = (victim: Victim) => all || victims.includes(victim);
  if (dies('storage-daemon') && ferry.pid !== undefined) {
    for (const pid of await descendantsRunning(ferry.pid, 'qemu-storage-daemon')) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
  }
  if (dies('blockferry')) await ferry.kill();
  if (dies('libvirtd')) {
    await berth.host.killLibvirtd();
    berth.debris = true;
  }
  if (dies('qemu')) await berth.host.killQemu(berth.name);
  return dies('blockferry');
}

async function revive(berth: Berth, startsAgain: boolean): Promise<void> {
  if ((await berth.host.libvirtdPid()) === undefined) await berth.host.restartLibvirtd();
  else await berth.host.virsh('version');
  let seen = '';
  const state = await until('libvirt knows', async () => {
    const said = (await berth.virsh('domstate', '--reason')).trim();
    const pid = await berth.host.qemuPid(berth.name);
    seen = `libvirt says ${said}, and QEMU's pid is ${pid}`;
    return (pid !== undefined) === !said.startsWith('shut off') ? said : undefined;
  }).catch(async (error: unknown) => {
    throw new Error(`${seen}\n${await berth.host.logs()}`, { cause: error });
  });
  // A guest that found its disk full is resumed by blockferry, if it lives and the move has not ended; else by its operator.
  if (/paused/.test(await berth.virsh('domstate'))) await berth.virsh('resume').catch(() => undefined);
  // An image that something else has open at this moment keeps the domain from starting: then it stays off.
  if (state.startsWith('shut off') && startsAgain) await berth.guest.start().catch(() => undefined);
}

/** As often as an operator would have patience for. */
const RESUMES = 8;

async function carryOn(
  berth: Berth,
  first: Ferry,
  killed: boolean,
): Promise<{ outcome: string; answered: boolean }> {
  let result: Result | undefined = killed ? undefined : await first.result();
  let answered = false;
  let verified = first.verified();
  for (let resumes = 0; resumes < RESUMES; resumes += 1) {
    if (result !== undefined) {
      const { outcome, error } = result;
      if (outcome === 'moved' || outcome === 'back' || outcome === 'copied') return { outcome, answered };
      if (outcome === 'nothing' || error?.code === 'no-open-move') return { outcome: 'nothing', answered };
      if (outcome === 'refused' && !killed && resumes === 0) return { outcome: 'nothing', answered };
    }
    const answer = result?.outcome === 'question' ? await answerTo(berth, result.error?.code) : [];
    answered ||= result?.outcome === 'question';
    const ferry: Ferry = berth.resume(answer);
    result = await ferry.result();
    const { copiedBefore } = result;
    if (copiedBefore !== null && copiedBefore !== undefined) {
      assert.ok(
        copiedBefore >= verified,
        `${copiedBefore} of ${verified} verified bytes were not copied again`,
      );
    }
    verified = Math.max(verified, ferry.verified());
  }
  assert.fail(`not ended after ${RESUMES} times resume: ${JSON.stringify(result)}`);
}

/** What a person does who is asked. @returns the options of the next `resume` */
async function answerTo(berth: Berth, question: string | undefined): Promise<readonly string[]> {
  if (question === 'which-side') return ['--use', await truth(berth)];
  // libvirt does not know, or not rightly, what this QEMU does: it is stopped.
  await berth.host.killQemu(berth.name);
  return [];
}

/** Looks whether everything is on the image that the domain is defined on. */
async function truth(berth: Berth): Promise<'source' | 'destination'> {
  const running = /running/.test(await berth.virsh('domstate'));
  const filename = await definedOn(berth);
  const file = { driver: 'file', filename };
  const node = { driver: 'qcow2', 'read-only': true, 'force-share': true, file };
  if (running) await berth.virsh('suspend');
  const { lost } = await verifyAcknowledged({ node }, await berth.guest.acknowledged());
  if (running) await berth.virsh('resume');
  return lost.length === 0 ? 'source' : 'destination';
}
