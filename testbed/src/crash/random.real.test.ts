// Bar 4: SIGKILL at a random moment of a move, over and over: it is carried on and ends moved, and nothing is lost.
// Hundreds by hand: BLOCKFERRY_KILLS=300 BLOCKFERRY_SEED=7 npx vitest run --project real testbed/src/crash/random
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { makeBerth, startHarbour } from './berth.ts';
import { seeded } from './seeded.ts';
import { courseOf, crashAndCarryOn } from './sweep.ts';

const kills = Number(process.env.BLOCKFERRY_KILLS ?? 20);
const seed = Number(process.env.BLOCKFERRY_SEED ?? randomInt(2 ** 31));

const KINDS = [[], ['--flatten'], ['--no-transient-job'], ['--delete-source'], ['--bandwidth', '8M']];

let host: LibvirtHost;
beforeAll(async () => {
  host = await startHarbour();
});
afterAll(async () => {
  await host.stop();
});

// Two guests, each for half of the kills: one waits for the other's disk and processor often enough.
describe.concurrent.each([1, 2])(`a move killed at a random moment (seed ${seed}, guest %i)`, (lane) => {
  it(
    `ends moved ${kills / 2} times out of ${kills / 2}`,
    async () => {
      const random = seeded(seed + lane);
      const berth = await makeBerth(host, `random${lane}`);
      const began = performance.now();
      const course = await courseOf(berth, []);
      const spanMs = course.endedAt - began;
      for (let count = 1; count <= kills / 2; count += 1) {
        const options = KINDS[Math.floor(random() * KINDS.length)] ?? [];
        const afterMs = Math.round(random() * spanMs);
        const way = random() < 0.3 ? 'move' : 'resume';
        const what = `kill ${count} of guest ${lane}, seed ${seed}: ${options.join(' ')} after ${afterMs} ms`;
        const restart = count === kills / 2;
        await crashAndCarryOn(berth, options, way, { what, when: () => sleep(afterMs), restart });
      }
    },
    120_000 + kills * 30_000,
  );
});
