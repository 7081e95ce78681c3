// What a round of torture has blockferry do to a disk, and what must be true when that has ended, done or undone.
import assert from 'node:assert/strict';
import { rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { backupDirectory, expectBackups, expectOfInstant, imageAt, pointsIn } from '../crash/backed-up.ts';
import type { Berth } from '../crash/berth.ts';
import { ends } from '../crash/endings.ts';
import { expectImage } from '../crash/expect-image.ts';
import { expectLayersMoved } from '../crash/layered-moves.ts';
import { chainOf, expectWhole } from '../crash/whole.ts';
import type { Round, Verb } from './draw.ts';
import { goingOnAfter, incrementTask, pointsBefore, seen } from './increments.ts';
import type { Task } from './task.ts';

/** @param directory where it copies to */
export async function taskFor(berth: Berth, round: Round, directory: string): Promise<Task> {
  const { verb, amid } = round;
  if (verb === 'increment') return incrementTask(berth, round, join(directory, 'backups'));
  const makeTask = TASKS[verb];
  if (amid === undefined) return makeTask(berth, round, directory);
  const points = await pointsBefore(berth, amid, backupDirectory(berth, `points-${basename(directory)}`));
  return goingOnAfter(points, round, await makeTask(berth, round, directory));
}

type MakeTask = (berth: Berth, round: Round, directory: string) => Promise<Task>;

const byResume = (berth: Berth) => ({ goOn: (answer: readonly string[]) => berth.resume(answer) });

const TASKS: Readonly<Record<Exclude<Verb, 'increment'>, MakeTask>> = {
  move: async (berth, round, directory) => {
    const before = await chainOf(berth.disk);
    return {
      ...byResume(berth),
      begin: () => berth.moveLayers(directory, round.options),
      done: 'moved',
      isDone: async (disk) => disk.startsWith(`${directory}/`),
      expectDone: (what, running) => expectLayersMoved(berth, what, before, directory, seen(round, running)),
      expectUndone: (what, running) => expectWhole(berth, what, { on: berth.disk, ...seen(round, running) }),
    };
  },
  image: async (berth, round, directory) => {
    const image = join(directory, 'image.qcow2');
    const said = await berth.guest.acknowledged();
    return {
      ...byResume(berth),
      begin: () => berth.ferry(['image', berth.name, image, '--compress', ...round.options]),
      done: 'copied',
      isDone: async () => (await stat(image).catch(() => undefined)) !== undefined,
      expectDone: async (what, running) => {
        await expectImage(image, said, what);
        await expectWhole(berth, what, { on: berth.disk, besides: [image], ...seen(round, running) });
        await rm(image);
      },
      expectUndone: (what, running) => expectWhole(berth, what, { on: berth.disk, ...seen(round, running) }),
    };
  },
  backup: async (berth, { options }, parent) => {
    const directory = join(parent, 'backups');
    const before = await berth.guest.acknowledged();
    const expectPoints = async (what: string, count: number, running: boolean) => {
      const isThere = (await stat(directory).catch(() => undefined)) !== undefined;
      const points = isThere ? await expectBackups(berth, directory, what) : [];
      assert.equal(points.length, count, `${what}: backups`);
      const after = await berth.guest.acknowledged();
      for (const point of points)
        await expectOfInstant(await imageAt(directory, point), { before, after }, what);
      await rm(directory, { recursive: true, force: true });
      await expectWhole(berth, what, { on: berth.disk, running });
    };
    return {
      ...byResume(berth),
      begin: () => berth.ferry(['backup', berth.name, directory, '--no-checkpoint', ...options]),
      done: 'done',
      isDone: async () => (await pointsIn(directory).catch(() => [])).length > 0,
      expectDone: (what, running) => expectPoints(what, 1, running),
      expectUndone: (what, running) => expectPoints(what, 0, running),
    };
  },
  restore: (berth, _round, directory) => restoreOver(berth, directory),
  commit: (berth, round) =>
    shorten(berth, round, {
      argv: () => ['commit', berth.name, 'vda', '--shallow', '--delete', ...round.options],
      done: 'committed',
      after: (chain) => chain.slice(1),
      keeps: false,
    }),
  flatten: (berth, round) =>
    shorten(berth, round, {
      argv: ([, , base = '']) => ['flatten', berth.name, 'vda', '--base', base, ...round.options],
      done: 'flattened',
      after: ([top = '', , ...rest]) => [top, ...rest],
      keeps: true,
    }),
};

type Shortening = {
  readonly argv: (chain: readonly string[]) => readonly string[];
  readonly done: string;
  readonly after: (chain: readonly string[]) => readonly string[];
  /** Whether the image that leaves the chain stays, beside it. */
  readonly keeps: boolean;
};

/** Of what the disk holds: so no write is lost, though it is set back. It is off, and the same is asked for again. */
async function restoreOver(berth: Berth, to: string): Promise<Task> {
  await berth.guest.stop();
  const before = await chainOf(berth.disk);
  const [top = ''] = before;
  const backups = backupDirectory(berth, basename(to));
  await ends(berth.ferry(['backup', berth.name, backups, '--no-checkpoint']), 'done');
  const restore = () => berth.ferry(['restore', backups, '--over', '--to', to]);
  return {
    begin: restore,
    goOn: restore,
    done: 'done',
    isDone: async (disk) => dirname(disk) === to,
    expectDone: async (what, running, on) => {
      assert.deepEqual(await chainOf(on), [on], `${what}: its chain`);
      // Killed when all was done, it was made twice.
      const twice = join(to, basename(top));
      const left = on === twice ? before : [...before, twice];
      await expectWhole(berth, what, { on, running, besides: left });
      for (const path of left) await rm(path);
      await rm(backups, { recursive: true });
    },
    expectUndone: (what) => assert.fail(`${what}: asked again, it is done`),
  };
}

/** The chain is made longer first: it is as long as before, or as it was once, when that is done. */
async function shorten(berth: Berth, round: Round, { argv, done, after, keeps }: Shortening): Promise<Task> {
  const chain = await grow(berth);
  const short = after(chain);
  const left = chain.filter((path) => !short.includes(path));
  return {
    ...byResume(berth),
    begin: () => berth.ferry(argv(chain)),
    done,
    isDone: async (disk) => (await chainOf(disk)).length === short.length,
    expectDone: async (what, running) => {
      const [on = ''] = short;
      assert.deepEqual(await chainOf(on), short, `${what}: its chain`);
      await expectWhole(berth, what, { on, besides: keeps ? left : [], ...seen(round, running) });
      if (keeps) for (const path of left) await rm(path);
    },
    expectUndone: async (what, running) => {
      assert.deepEqual(await chainOf(berth.disk), chain, `${what}: its chain`);
      await expectWhole(berth, what, { on: berth.disk, ...seen(round, running) });
    },
  };
}

/** @returns the chain, of three images at least, the guest's latest writes in a new active one */
async function grow(berth: Berth): Promise<string[]> {
  for (;;) {
    const { highestSeq } = await berth.guest.acknowledged();
    const overlay = join(dirname(berth.disk), `over${highestSeq}.qcow2`);
    const disk = ['--diskspec', `vda,file=${overlay}`];
    await berth.virsh('snapshot-create-as', '--disk-only', '--no-metadata', ...disk);
    berth.disk = overlay;
    await berth.guest.waitForWrites(30);
    const chain = await chainOf(overlay);
    if (chain.length >= 3) return chain;
  }
}
