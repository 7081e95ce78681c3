// What a round of torture has blockferry do to a disk, and what must be true when that has ended, done or undone.
import assert from 'node:assert/strict';
import { rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expectBackups, expectOfInstant, imageAt, pointsIn } from '../crash/backed-up.ts';
import type { Berth } from '../crash/berth.ts';
import { expectImage } from '../crash/expect-image.ts';
import type { Ferry } from '../crash/ferry.ts';
import { expectLayersMoved } from '../crash/layered-moves.ts';
import { chainOf, expectWhole } from '../crash/whole.ts';
import type { Round, Verb } from './draw.ts';

export interface Task {
  begin(): Ferry;
  /** The outcome of a run that has done it. */
  readonly done: string;
  /** Whether it was done, where no run was left to say so. `disk`: the image that the domain is defined on. */
  isDone(disk: string): Promise<boolean>;
  /** @throws AssertionError for anything that is not as it must be */
  expectDone(what: string, running: boolean): Promise<void>;
  expectUndone(what: string, running: boolean): Promise<void>;
}

/** @param directory where it copies to */
export function taskFor(berth: Berth, round: Round, directory: string): Promise<Task> {
  return TASKS[round.verb](berth, round.options, directory);
}

type MakeTask = (berth: Berth, options: readonly string[], directory: string) => Promise<Task>;

const TASKS: Readonly<Record<Verb, MakeTask>> = {
  move: async (berth, options, directory) => {
    const before = await chainOf(berth.disk);
    return {
      begin: () => berth.moveLayers(directory, options),
      done: 'moved',
      isDone: async (disk) => disk.startsWith(`${directory}/`),
      expectDone: (what, running) => expectLayersMoved(berth, what, before, directory, { running }),
      expectUndone: (what, running) => expectWhole(berth, what, { on: berth.disk, running }),
    };
  },
  image: async (berth, options, directory) => {
    const image = join(directory, 'image.qcow2');
    const said = await berth.guest.acknowledged();
    return {
      begin: () => berth.ferry(['image', berth.name, image, '--compress', ...options]),
      done: 'copied',
      isDone: async () => (await stat(image).catch(() => undefined)) !== undefined,
      expectDone: async (what, running) => {
        await expectImage(image, said, what);
        await expectWhole(berth, what, { on: berth.disk, running, besides: [image] });
        await rm(image);
      },
      expectUndone: (what, running) => expectWhole(berth, what, { on: berth.disk, running }),
    };
  },
  backup: async (berth, options, parent) => {
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
      begin: () => berth.ferry(['backup', berth.name, directory, '--no-checkpoint', ...options]),
      done: 'done',
      isDone: async () => (await pointsIn(directory).catch(() => [])).length > 0,
      expectDone: (what, running) => expectPoints(what, 1, running),
      expectUndone: (what, running) => expectPoints(what, 0, running),
    };
  },
  commit: (berth, options) =>
    shorten(berth, {
      argv: () => ['commit', berth.name, 'vda', '--shallow', '--delete', ...options],
      done: 'committed',
      after: (chain) => chain.slice(1),
      keeps: false,
    }),
  flatten: (berth, options) =>
    shorten(berth, {
      argv: ([, , base = '']) => ['flatten', berth.name, 'vda', '--base', base, ...options],
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

/** The chain is made longer by one first: it is as long as before when that is done. */
async function shorten(berth: Berth, { argv, done, after, keeps }: Shortening): Promise<Task> {
  const chain = await grow(berth);
  const short = after(chain);
  const left = chain.filter((path) => !short.includes(path));
  return {
    begin: () => berth.ferry(argv(chain)),
    done,
    isDone: async (disk) => (await chainOf(disk)).length === short.length,
    expectDone: async (what, running) => {
      const [on = ''] = short;
      assert.deepEqual(await chainOf(on), short, `${what}: its chain`);
      await expectWhole(berth, what, { on, running, besides: keeps ? left : [] });
      if (keeps) for (const path of left) await rm(path);
    },
    expectUndone: async (what, running) => {
      assert.deepEqual(await chainOf(berth.disk), chain, `${what}: its chain`);
      await expectWhole(berth, what, { on: berth.disk, running });
    },
  };
}

/** @returns the chain, with a new active image in which the guest's latest writes are */
async function grow(berth: Berth): Promise<string[]> {
  const overlay = join(dirname(berth.disk), `over${(await berth.guest.acknowledged()).highestSeq}.qcow2`);
  const disk = ['--diskspec', `vda,file=${overlay}`];
  await berth.virsh('snapshot-create-as', '--disk-only', '--no-metadata', ...disk);
  berth.disk = overlay;
  await berth.guest.waitForWrites(30);
  return chainOf(overlay);
}
