// Commits and pulls that are killed after a step, or whose libvirtd or QEMU is: whatever way out is taken, the guest is on
// one of the two chains, whole, and the other's files are there or gone as was asked.
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { until } from '../process/until.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import { diskOf } from './sweep.ts';
import { chainOf, expectWhole } from './whole.ts';

type Scenario = {
  readonly verb: (chain: readonly string[]) => readonly string[];
  /** The chain as it is to be, top first. */
  readonly after: (chain: readonly string[]) => readonly string[];
  readonly off?: boolean;
  readonly deletes?: boolean;
  /** The steps that it dies after; `resume` goes on after each. */
  readonly steps: readonly string[];
  /** Those that an abort is tried after. */
  readonly undone: readonly string[];
};

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'a commit of the active image': {
    verb: () => ['commit', '--shallow', '--delete'],
    after: (chain) => chain.slice(1),
    deletes: true,
    steps: ['record', 'start-job', 'record#2', 'pivot', 'delete-source'],
    undone: ['start-job', 'pivot'],
  },
  'a commit from the middle': {
    verb: ([, top = '']) => ['commit', '--top', top, '--shallow'],
    after: ([top = '', , ...rest]) => [top, ...rest],
    steps: ['start-job'],
    undone: ['start-job'],
  },
  'a pull': {
    verb: ([, , base = '']) => ['flatten', '--base', base],
    after: ([top = '', , ...rest]) => [top, ...rest],
    steps: ['start-job'],
    undone: ['start-job'],
  },
  'a commit of a domain that is off': {
    verb: () => ['commit', '--shallow'],
    after: (chain) => chain.slice(1),
    off: true,
    steps: ['work-offline', 'finish-offline'],
    undone: ['work-offline'],
  },
  'a pull of a domain that is off': {
    verb: ([, , base = '']) => ['flatten', '--base', base],
    after: ([top = '', , ...rest]) => [top, ...rest],
    off: true,
    steps: ['work-offline'],
    undone: [],
  },
};

let host: LibvirtHost;
let at: Berth;
let made = 0;
beforeAll(async () => {
  host = await startHarbour();
  at = await makeBerth(host, 'vm');
});
afterAll(() => host?.stop());

/** At least three images, the guest's latest writes in the active one. */
async function grown(berth: Berth): Promise<string[]> {
  for (;;) {
    made += 1;
    const overlay = join(berth.directory, `over${made}.qcow2`);
    const disk = ['--diskspec', `vda,file=${overlay}`];
    await berth.virsh('snapshot-create-as', '--disk-only', '--no-metadata', ...disk);
    await berth.guest.waitForWrites(10);
    berth.disk = overlay;
    const chain = await chainOf(overlay);
    if (chain.length >= 3) return chain;
  }
}

const argvOf = (berth: Berth, { verb }: Scenario, chain: readonly string[]) => {
  const [name = '', ...options] = verb(chain);
  return [name, berth.name, 'vda', ...options];
};

/** The chain is one of the two, by every account; what left it is there unless it was to be deleted. */
async function expectOneOf(
  berth: Berth,
  what: string,
  chain: readonly string[],
  scenario: Scenario,
  outcome: string,
): Promise<void> {
  const short = scenario.after(chain);
  const on = outcome === 'back' ? chain : short;
  const [top = ''] = on;
  assert.deepEqual(await chainOf(top), on, `${what}: its chain`);
  const besides = scenario.deletes ? [] : chain.filter((path) => !on.includes(path));
  const running = scenario.off !== true;
  await expectWhole(berth, what, { on: top, besides, running, restart: !running });
  for (const path of besides) await rm(path);
}

describe.each(Object.entries(SCENARIOS))('%s', (name, scenario) => {
  it('ends short by resume, and whole either way by abort, whichever step it died after', async () => {
    for (const step of scenario.steps) {
      const ways = scenario.undone.includes(step) ? (['resume', 'abort'] as const) : (['resume'] as const);
      for (const way of ways) {
        const chain = await grown(at);
        if (scenario.off) await at.guest.stop();
        const what = `${name}, killed after ${step}, then ${way}`;
        await at.ferry(argvOf(at, scenario, chain), { at: 'step-done', name: step }).diedAfter(step);
        const { outcome, error } = await at[way]().result();
        const over = outcome === 'nothing' || error?.code === 'no-open-move';
        const ended = ['committed', 'flattened', ...(way === 'abort' ? ['back'] : [])];
        assert.ok(over || ended.includes(outcome), `${what}: ${outcome} ${JSON.stringify(error)}`);
        await expectOneOf(at, what, chain, scenario, outcome);
      }
    }
  }, 600_000);
});

describe('while the job runs', () => {
  const slow = ['--bandwidth', '4M'];
  const active = SCENARIOS['a commit of the active image'] as Scenario;
  const scenario: Scenario = { ...active, verb: () => ['commit', '--shallow', ...slow], deletes: false };

  it('libvirtd may die and come back, and QEMU may die: then qemu-img does the rest', async () => {
    for (const dies of ['libvirtd', 'QEMU'] as const) {
      const chain = await grown(at);
      await at.guest.waitForWrites(100);
      const ferry = at.ferry(argvOf(at, scenario, chain));
      await ferry.copying();
      if (dies === 'libvirtd') {
        await host.restartLibvirtd();
        at.debris = true;
      } else await host.killQemu(at.name);
      const { outcome, error } = await ferry.result();
      assert.equal(outcome, 'committed', `${dies}: ${JSON.stringify(error)}`);
      await expectOneOf(at, `${dies} died`, chain, { ...scenario, off: dies === 'QEMU' }, outcome);
    }
  }, 300_000);

  it('a switch that nobody saw, whose QEMU then died, is a question, and costs neither image', async () => {
    const chain = await grown(at);
    const [top = '', base = ''] = chain;
    // So much that what is written after the switch covers some of it.
    await at.guest.waitForWrites(100);
    const ferry = at.ferry(argvOf(at, { ...scenario, verb: () => ['commit', '--shallow'] }, chain), {
      at: 'step-done',
      name: 'record#2',
      signal: 'SIGSTOP',
    });
    await ferry.halted('record#2');
    await ferry.kill();
    // QEMU is told to switch behind the back of a libvirtd that is gone, and the guest writes on.
    const job = ['qemu-monitor-command', at.name, '--hmp', 'info block-jobs'];
    assert.match(await host.virsh(...job), /commit/);
    await at.virsh('blockjob', 'vda', '--pivot');
    await at.guest.waitForWrites(60);
    const config = (await at.virsh('dumpxml', '--inactive')).replace(
      `<source file='${base}'`,
      `<source file='${top}'`,
    );
    await host.killQemu(at.name);
    await until('its end', async () => (await at.virsh('domstate')).includes('off') || undefined);
    const file = join(host.directory, 'guest', 'old.xml');
    await writeFile(file, config);
    await host.virsh('define', file);
    const asked = await at.resume().result();
    assert.deepEqual([asked.outcome, asked.exitCode], ['question', 5], JSON.stringify(asked.error));
    const { outcome } = await at.resume(['--use', 'destination']).result();
    assert.equal(outcome, 'committed');
    await expectOneOf(at, 'answered', chain, { ...scenario, off: true }, outcome);
    assert.equal(await diskOf(at), base);
  }, 300_000);
});
