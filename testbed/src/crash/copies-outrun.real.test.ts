// A guest that outruns the commit of its overlay.
import assert from 'node:assert/strict';
import { afterAll, beforeAll, it } from 'vitest';
import { holdReads } from '../faults/held-reads.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { until } from '../process/until.ts';
import { makeBerth, startHarbour } from './berth.ts';
import { ends } from './endings.ts';
import { expectImage } from './expect-image.ts';
import { diskOf } from './sweep.ts';
import { expectWhole } from './whole.ts';

let host: LibvirtHost;
beforeAll(async () => {
  host = await startHarbour();
});
afterAll(async () => {
  await host.stop();
});

/** Blocks a second that the guest writes, scattered over its region: as many pieces of 64 KiB to commit. */
const RATE = 10;
/** One such piece a second. */
const COMMITTED = 65_536;
/** Pieces in the overlay before its commit begins: it is not through with them before its speed is set. */
const PIECES = 20;

it('a guest that writes faster than its overlay is committed back is slowed until it is, and then writes as before', async () => {
  const berth = await makeBerth(host, 'outruns', { rate: RATE, size: 128n << 20n });
  await berth.virsh('blkdeviotune', 'vda', '--live', '--read-iops-sec', '5000');
  const said = await berth.guest.acknowledged();
  const path = berth.newPath();
  const ferry = berth.image(
    path,
    [],
    [
      { at: 'step-done', name: 'freeze', signal: 'SIGSTOP' },
      { at: 'step-done', name: 'start-leg', signal: 'SIGSTOP' },
    ],
  );
  await ferry.halted('freeze');
  // The commit has hardly begun when its speed is set, however fast the storage.
  const held = await holdReads(host, berth.name, (await diskOf(berth)) ?? '', 60);
  await berth.guest.waitForWrites(PIECES);
  ferry.cont();
  await ferry.halted('start-leg');
  await berth.virsh('blockjob', 'vda', '--bytes', '--bandwidth', String(COMMITTED));
  await held.release();
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
