// A guest that writes faster than the mirror copies: it is said, and synchronous writes end it.
import assert from 'node:assert/strict';
import { afterAll, beforeAll, it } from 'vitest';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import { expectMoved } from './sweep.ts';
import { chainOf, expectWhole } from './whole.ts';

let host: LibvirtHost;
let berth: Berth;
beforeAll(async () => {
  host = await startHarbour();
  berth = await makeBerth(host, 'converge', { rate: 'max' });
});
afterAll(async () => {
  await host.stop();
});

// Less than the guest dirties: each of its blocks is a whole cluster to copy again.
const MIRROR = ['--strategy', 'mirror', '--flatten'];
const SLOWER = [...MIRROR, '--bandwidth', '4M'];

it('is said with what to do about it, and can be undone', async () => {
  const ferry = berth.move(berth.newPath(), SLOWER);
  assert.match(await ferry.warning('not-converging'), /--synchronous-writes.*--converge/);
  assert.equal((await berth.abort().result()).outcome, 'back');
  await ferry.gone();
  await expectWhole(berth, 'not converging, aborted', { on: berth.disk, restart: false });
});

it('ends by itself with --converge', async () => {
  const before = await chainOf(berth.disk);
  const destination = berth.newPath();
  const ferry = berth.move(destination, [...SLOWER, '--converge']);
  await ferry.step('restart-synchronously');
  await ferry.find(
    'second start',
    () => ferry.passed('step-done').filter((s) => s.startsWith('start-copy'))[1],
  );
  await berth.virsh('blockjob', 'vda', '--bandwidth', '0');
  const { outcome, error } = await ferry.result();
  assert.equal(outcome, 'moved', JSON.stringify(error));
  await expectMoved(berth, 'converged', before, destination, ['--flatten'], false);
});

it('ends with --synchronous-writes from the start', async () => {
  const before = await chainOf(berth.disk);
  const destination = berth.newPath();
  const { outcome, error } = await berth.move(destination, [...MIRROR, '--synchronous-writes']).result();
  assert.equal(outcome, 'moved', JSON.stringify(error));
  await expectMoved(berth, 'synchronous', before, destination, ['--flatten'], false);
});
