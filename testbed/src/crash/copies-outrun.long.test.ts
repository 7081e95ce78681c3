// A guest that outruns the commit of its overlay. By hand: QEMU holds a guest back on what is being copied, so whether it
// gets far enough ahead is chance, and the more so the faster the storage.
import assert from 'node:assert/strict';
import { afterAll, beforeAll, it } from 'vitest';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { until } from '../process/until.ts';
import { makeBerth, startHarbour } from './berth.ts';
import { ends } from './endings.ts';
import { expectImage } from './expect-image.ts';
import { expectWhole } from './whole.ts';

let host: LibvirtHost;
beforeAll(async () => {
  host = await startHarbour();
});
afterAll(async () => {
  await host.stop();
});

it('a guest that writes faster than its overlay is committed back is slowed until it is, and then writes as before', async () => {
  const berth = await makeBerth(host, 'outruns', { rate: 'max', size: 256n << 20n });
  await berth.virsh('blkdeviotune', 'vda', '--live', '--read-iops-sec', '5000');
  const said = await berth.guest.acknowledged();
  const path = berth.newPath();
  const ferry = berth.image(path, [], { at: 'step-done', name: 'start-leg', signal: 'SIGSTOP' });
  await ferry.halted('start-leg');
  // Storage that is slow, and each block that the guest writes is 64 KiB to commit.
  await berth.virsh('blockjob', 'vda', '--bytes', '--bandwidth', '524288');
  const lag = async () => {
    const [, cur, end] = /cur=(\d+)\s+end=(\d+)/.exec(await berth.virsh('blockjob', 'vda', '--raw')) ?? [];
    return Number(end) - Number(cur) > 24 * 2 ** 20 || undefined;
  };
  await until('a commit that lags behind', lag, { timeoutMs: 240_000 });
  ferry.cont();
  assert.match(await ferry.warning('guest-slowed'), /as fast as its overlay is committed back/);
  await until('the limit', async () => /<write_iops_sec>\d/.test(await berth.virsh('dumpxml')) || undefined);
  await berth.virsh('blockjob', 'vda', '--bandwidth', '0');
  await ends(ferry, 'copied');
  const tune = await berth.virsh('blkdeviotune', 'vda', '--live');
  assert.match(tune, /write_iops_sec *: 0\n/);
  assert.match(tune, /read_iops_sec *: 5000\n/);
  await expectImage(path, said, 'outruns');
  await expectWhole(berth, 'outruns', { on: berth.disk, besides: [path] });
  await berth.guest.stop();
});
