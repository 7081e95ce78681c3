// One round of torture: something is done to the disk of a running guest, whatever dies in it, and must have ended well.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Berth } from '../crash/berth.ts';
import type { Ferry, Result } from '../crash/ferry.ts';
import { diskOf } from '../crash/sweep.ts';
import { verifyAcknowledged } from '../guest/verify.ts';
import { until } from '../process/until.ts';
import { killStorageDaemons } from './daemons.ts';
import type { Round, Victim } from './draw.ts';
import { storageFor } from './storage.ts';
import type { Task } from './task.ts';
import { taskFor } from './tasks.ts';

export type Outcome = 'done' | 'back' | 'answered';

/**
 * Plays one round. In the end it has ended, the guest runs on one complete chain, every acknowledged write is there, the
 * definition is true, no file of ours is left, what was made is whole, and nothing was copied again that was verified.
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
  const storage = await storageFor(berth, round.victims, ends);
  const task = await taskFor(berth, round, storage.directory);
  const ferry = task.begin();
  // Before anything is made nothing can go wrong.
  await ferry.find('its beginning', ({ type }) => type === 'step' || type === 'phase' || undefined);
  await sleep(round.afterMs);
  await storage.spoil(ferry);
  const killed = await strike(berth, ferry, round.victims);
  await storage.mend();
  await revive(berth, round.startsAgain && round.verb !== 'restore');
  await task.hurry?.();
  const { outcome, answered } = await carryOn(berth, task, ferry, killed);
  const running = /running/.test(await berth.virsh('domstate'));
  const disk = await definedOn(berth);
  const isDone = outcome === task.done || (outcome === 'nothing' && (await task.isDone(disk)));
  if (isDone) await task.expectDone(what, running, disk);
  else await task.expectUndone(what, running);
  return answered ? 'answered' : isDone ? 'done' : 'back';
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
  if (dies('storage-daemon')) await killStorageDaemons(ferry);
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
  task: Task,
  first: Ferry,
  killed: boolean,
): Promise<{ outcome: string; answered: boolean }> {
  let result: Result | undefined = killed ? undefined : await first.result();
  let answered = false;
  let verified = first.verified();
  for (let resumes = 0; resumes < RESUMES; resumes += 1) {
    if (result !== undefined) {
      const { outcome, error } = result;
      if (outcome === task.done || outcome === 'back') return { outcome, answered };
      if (outcome === 'nothing' || error?.code === 'no-open-move') return { outcome: 'nothing', answered };
      if (outcome === 'refused' && !killed && resumes === 0) return { outcome: 'nothing', answered };
      // QEMU was killed before the same was asked for again.
      if (error?.code === 'checkpoint-broken') return { outcome: 'nothing', answered };
      // It works on images that no QEMU has open only if nothing is recorded in them.
      if (error?.code === 'checkpoints-lost') await berth.guest.start();
    }
    const answer = result?.outcome === 'question' ? await answerTo(berth, result.error?.code) : [];
    answered ||= result?.outcome === 'question';
    const ferry: Ferry = task.goOn(answer);
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
