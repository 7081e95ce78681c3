// Whatever the speeds of copier and verifier: every window is copied and verified, in order, and both come to an end.
import { localHost } from '@blockferry/qemu';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Backlog, type Task } from './backlog.ts';
import { layerOf, type Standing } from './testing/layer-of.ts';

const start: fc.Arbitrary<Standing> = fc
  .record({ count: fc.nat({ max: 6 }), states: fc.array(fc.nat({ max: 2 }), { maxLength: 6 }) })
  .map(({ count, states }) => {
    const indexes = [...states.keys()].filter((index) => index < count);
    return {
      count,
      copied: indexes.filter((index) => (states[index] ?? 0) > 0),
      verified: indexes.filter((index) => states[index] === 2),
    };
  });

/** Takes tasks until there are none; each one takes as many turns of the event loop as `delays` says. */
async function work(
  next: () => Promise<Task | undefined>,
  delays: readonly number[],
  finish: (task: Task) => void,
): Promise<Task[]> {
  const done: Task[] = [];
  for (let turn = 0; ; turn++) {
    const task = await next();
    if (!task) return done;
    for (let wait = delays[turn % delays.length] ?? 0; wait > 0; wait--) await Promise.resolve();
    done.push(task);
    finish(task);
  }
}

const delays = fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 5 });

test('all that is missing is copied, and verified after it was copied', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(start, { maxLength: 3 }), delays, delays, async (starts, slow, slower) => {
      const layers = starts.map((each) => layerOf(localHost(), each));
      const backlog = new Backlog(layers, true);
      const bad = new Set(layers.slice(0, 1)); // the first window of it that is verified differs, once
      const copied = new Set(
        layers.flatMap((layer) => [...layer.journal.copied].map((i) => `${layers.indexOf(layer)}/${i}`)),
      );
      const name = ({ layer, index }: Task) => `${layers.indexOf(layer)}/${index}`;
      const [copies, checks] = await Promise.all([
        work(
          () => backlog.nextToCopy(),
          slow,
          (task) => {
            copied.add(name(task));
            backlog.copied(task);
          },
        ),
        work(
          () => backlog.nextToVerify(),
          slower,
          (task) => {
            expect(copied).toContain(name(task));
            if (bad.delete(task.layer)) backlog.differs(task);
            else backlog.verified();
          },
        ),
      ]);
      const missing = starts.flatMap(({ count, copied: had }, at) =>
        [...Array(count).keys()].filter((index) => !had.includes(index)).map((index) => `${at}/${index}`),
      );
      expect(copies.filter(({ again }) => !again).map(name)).toEqual(missing);
      const unverified = starts.reduce((sum, { count, verified }) => sum + count - verified.length, 0);
      const repeated = copies.filter(({ again }) => again).length;
      expect(repeated).toBe(starts[0] && starts[0].count > starts[0].verified.length ? 1 : 0);
      expect(checks.length).toBe(unverified + repeated);
    }),
  );
});

test('without verifying, all that is missing is copied', async () => {
  const layers = [layerOf(localHost(), { count: 3, copied: [1], verified: [] })];
  const backlog = new Backlog(layers, false);
  const copies = await work(
    () => backlog.nextToCopy(),
    [3, 0],
    (task) => backlog.copied(task),
  );
  expect(copies.map(({ index }) => index)).toEqual([0, 2]);
});
