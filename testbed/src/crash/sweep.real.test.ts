// blockferry killed with SIGKILL after every step of a move: whatever way out is taken, the guest's disk is whole.
import assert from 'node:assert/strict';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { type BerthOptions, makeBerth, startHarbour } from './berth.ts';
import { courseOf, crashAndCarryOn, type WayOut } from './sweep.ts';

type Scenario = {
  readonly berth?: BerthOptions;
  readonly options: readonly string[];
  /** Some steps that the sweep must come across, lest it proves nothing. */
  readonly steps: readonly string[];
  /** Which steps it dies after; of a variant, those that differ in it. */
  readonly dies: 'after each, and while copying' | 'after these';
};

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  shallow: {
    options: [],
    steps: ['record', 'claim-destination', 'start-copy', 'record#2', 'pivot', 'close'],
    dies: 'after each, and while copying',
  },
  flatten: { options: ['--flatten'], steps: ['start-copy', 'pivot'], dies: 'after these' },
  undefine: {
    berth: { autostart: true },
    options: ['--no-transient-job'],
    steps: ['undefine', 'pivot', 'restore-definition'],
    dies: 'after each, and while copying',
  },
  'delete-source': {
    options: ['--delete-source'],
    steps: ['pivot', 'delete-source'],
    dies: 'after these',
  },
  transient: {
    berth: { persistent: false },
    options: [],
    steps: ['start-copy', 'pivot'],
    dies: 'after these',
  },
};

let host: LibvirtHost;
beforeAll(async () => {
  host = await startHarbour();
});
afterAll(async () => {
  await host.stop();
});

const WAYS: readonly WayOut[] = ['resume', 'abort'];

describe.concurrent.each(Object.entries(SCENARIOS))(
  'a killed move (%s)',
  (name, { berth, options, steps, dies }) => {
    it('ends moved by resume, and whole on one side by abort, whichever step it died after', async () => {
      await using at = await makeBerth(host, name, berth);
      const passed = (await courseOf(at, options)).passed('step-done');
      for (const step of steps) assert.ok(passed.includes(step), `${step} is among ${passed.join(' ')}`);
      for (const way of WAYS) {
        // To start again takes the guest seconds: once a step is enough.
        const restart = way === 'resume';
        const everywhere = dies === 'after each, and while copying';
        for (const step of everywhere ? passed : steps) {
          const halt = { at: 'step-done', name: step } as const;
          await crashAndCarryOn(at, options, way, { what: `after ${step}`, halt, restart });
        }
        if (!everywhere) continue;
        await crashAndCarryOn(at, [...options, '--bandwidth', '4M'], way, {
          what: 'while copying',
          when: async (ferry) => {
            await ferry.copying();
            await ferry.kill();
            await at.virsh('blockjob', 'vda', '--bandwidth', '0');
          },
        });
      }
    }, 2_400_000);
  },
);
