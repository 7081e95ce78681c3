// Copies of two disks at one instant, through deaths of blockferry and QEMU: both are complete, or neither is there.
import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, it } from 'vitest';
import type { Acknowledged } from '../guest/report.ts';
import { verifyAcknowledged } from '../guest/verify.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { until } from '../process/until.ts';
import { startHarbour } from './berth.ts';
import { ends } from './endings.ts';
import type { Ferry, Halt } from './ferry.ts';
import { makePair, type Pair } from './pair.ts';
import { chainOf } from './whole.ts';

type Way = 'resume' | 'abort';
type Said = Readonly<Record<'vda' | 'vdb', Acknowledged>>;
type Begun = { readonly directory: string; readonly said: Said; readonly ferry: Ferry };

/** Where only a group can be half; all steps, by both ways out: BLOCKFERRY_SWEEP=all. */
const TELLING: readonly (readonly [string, Way])[] = [
  ['record', 'resume'],
  ['freeze', 'abort'],
  ['copy-layers#2', 'resume'],
  ['keep-copies', 'abort'],
  ['finish-leg', 'resume'],
  ['close', 'resume'],
];

let host: LibvirtHost;
let pair: Pair;
beforeAll(async () => {
  host = await startHarbour();
  pair = await makePair(host, 'two');
});
afterAll(async () => {
  await host.stop();
});

async function begun(halt?: Halt): Promise<Begun> {
  const said = { vda: await pair.guest.acknowledged('vda'), vdb: await pair.guest.acknowledged('vdb') };
  const directory = await pair.newDirectory();
  return { directory, said, ferry: pair.copyAll(directory, halt) };
}

/** Both chains are there in their shape, with what each disk was told is flushed; they are removed, and the domain is whole. */
async function expectCopied(what: string, { directory, said }: Begun, state = 'running'): Promise<void> {
  const files: string[] = [];
  for (const disk of ['vda', 'vdb'] as const) {
    const inCopy = (path: string) => join(directory, basename(path));
    const top = inCopy(pair.places[disk]);
    const chain = await chainOf(top);
    assert.deepEqual(chain, (await chainOf(pair.places[disk])).map(inCopy), `${what}: the chain of ${disk}`);
    const { lost } = await verifyAcknowledged({ path: top, format: 'qcow2' }, said[disk]);
    assert.deepEqual(lost, [], `${what}: every acknowledged write of ${disk} is in its copy`);
    files.push(...chain);
  }
  await pair.expectWhole(what, { besides: files, state });
  await rm(directory, { recursive: true });
}

async function killAfter(name: string, way: Way): Promise<void> {
  const what = `after ${name}, then ${way}`;
  const copy = await begun({ at: 'step-done', name });
  await copy.ferry.diedAfter(name);
  const { outcome, error } = await pair.ferry([way, pair.name]).result();
  if (outcome === 'back') {
    await pair.expectWhole(what);
    assert.deepEqual(await readdir(copy.directory), [], what);
    return;
  }
  const nothing = outcome === 'nothing' || error?.code === 'no-open-move';
  assert.ok(outcome === 'copied' || nothing, `${what}: ${outcome} ${JSON.stringify(error)}`);
  await expectCopied(what, copy);
}

it('blockferry is killed after a step: both are copied, or neither', async () => {
  const whole = await begun();
  await ends(whole.ferry, 'copied');
  const steps = whole.ferry.passed('step-done');
  assert.equal(steps.filter((step) => step.startsWith('freeze')).length, 1, 'one snapshot for both');
  await expectCopied('undisturbed', whole);
  const all = steps.flatMap((name) => [[name, 'resume'] as const, [name, 'abort'] as const]);
  for (const [name, way] of process.env.BLOCKFERRY_SWEEP === 'all' ? all : TELLING)
    await killAfter(name, way);
}, 3_600_000);

it('QEMU is killed when one disk is back and the other is not', async () => {
  const copy = await begun({ at: 'step-done', name: 'finish-leg', signal: 'SIGSTOP' });
  await copy.ferry.halted('finish-leg');
  await host.killQemu(pair.name);
  await until('the end of the domain', async () => ((await pair.state()) === 'shut off' ? true : undefined));
  copy.ferry.cont();
  await ends(copy.ferry, 'copied');
  await expectCopied('killed between', copy, 'shut off');
});
