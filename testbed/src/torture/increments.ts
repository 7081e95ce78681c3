// Torture's increments: one is struck while it is made, or they are made before and after something else that is struck.
import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Berth } from '../crash/berth.ts';
import { ends } from '../crash/endings.ts';
import { chainOf, expectWhole, type Whole } from '../crash/whole.ts';
import { holdReads } from '../faults/held-reads.ts';
import type { Amid, Round } from './draw.ts';
import { Points } from './points.ts';
import type { Task } from './task.ts';

/** A full backup, and the increments on it that stand before anything is struck. */
export async function pointsBefore(
  berth: Berth,
  { increments, moved }: Amid,
  directory: string,
): Promise<Points> {
  const points = new Points(berth, directory);
  await points.make(['--guard', 'off']);
  for (let left = increments; left > 0; left--) {
    await berth.guest.waitForWrites(15);
    if (moved && left === 1) await moveOn(berth);
    await points.make(['--incremental']);
  }
  await berth.guest.waitForWrites(15);
  return points;
}

/** That all is whole is looked at when the round has ended. */
async function moveOn(berth: Berth): Promise<void> {
  const before = await chainOf(berth.disk);
  const to = await berth.newDirectory();
  await ends(berth.moveLayers(to, ['--guard', 'off']), 'moved');
  berth.disk = join(to, basename(berth.disk));
  for (const path of before) await rm(path);
}

/** How a domain is looked at when the round has ended: started anew or not, which a domain that is off always is. */
export function seen({ amid }: Round, running: boolean): Pick<Whole, 'running' | 'restart'> {
  return { running, restart: !running || (amid?.restarts ?? true) };
}

/** What an increment may be refused with after the round, as it is written in the manual; nothing else is allowed. */
function lostIn({ verb, victims }: Round, isDone: boolean): readonly string[] {
  // The definition was replaced, and the checkpoints went with it.
  if (verb === 'restore') return isDone ? ['checkpoint-gone'] : [];
  return victims.includes('qemu') || victims.includes('host') ? ['checkpoint-broken'] : [];
}

/** Whatever became of the task, the increments go on after it. */
export function goingOnAfter(points: Points, round: Round, task: Task): Task {
  return {
    ...task,
    expectDone: async (what, running, disk) => {
      await task.expectDone(what, running, disk);
      await points.expectToGoOn(what, lostIn(round, true));
      await points.remove();
    },
    expectUndone: async (what, running) => {
      await task.expectUndone(what, running);
      await points.expectToGoOn(what, lostIn(round, false));
      await points.remove();
    },
  };
}

/** An increment, which is struck while it is made. @param directory of the backups */
export async function incrementTask(berth: Berth, round: Round, directory: string): Promise<Task> {
  if (round.amid === undefined) throw new Error('an increment stands on something');
  const points = await pointsBefore(berth, round.amid, directory);
  const before = await berth.guest.acknowledged();
  const hurry = round.slow ? await slowDown(berth) : undefined;
  const increment = () => berth.ferry(['backup', berth.name, directory, '--incremental']);
  const expect = async (what: string, running: boolean, counts: readonly number[]) => {
    const found = await points.find({ before, after: await berth.guest.acknowledged() });
    assert.ok(counts.includes(found), `${what}: ${found} increments were made`);
    const besides = await filesIn(directory);
    await expectWhole(berth, what, { on: berth.disk, besides, ...seen(round, running) });
    await points.expectToGoOn(what, lostIn(round, true));
    await points.remove();
  };
  return {
    begin: increment,
    goOn: (answer) => (round.again ? increment() : berth.resume(answer)),
    ...(hurry && { hurry }),
    done: 'done',
    isDone: async () => (await points.unknown()).length > 0,
    // Killed when all was done, and asked for again, another one is made.
    expectDone: (what, running) => expect(what, running, round.again ? [1, 2] : [1]),
    expectUndone: (what, running) => expect(what, running, [0]),
  };
}

async function filesIn(directory: string): Promise<readonly string[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  return found.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []));
}

/** QEMU copies next to nothing until the hold is released, or it is gone. */
async function slowDown(berth: Berth): Promise<() => Promise<void>> {
  const held = await holdReads(berth.host, berth.name, berth.disk, 4);
  const pid = await berth.host.qemuPid(berth.name);
  return async () => {
    if ((await berth.host.qemuPid(berth.name)) === pid) await held.release();
  };
}
