// What dies while an increment is being written: it is complete, or it is gone.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { connect, type Domain, DomainXml } from '@blockferry/libvirt';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { failingFileSystem } from '../faults/file-system.ts';
import { holdReads } from '../faults/held-reads.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { until } from '../process/until.ts';
import {
  backupDirectory,
  expectBackups,
  expectOfInstant,
  type Instant,
  imageAt,
  pointsIn,
} from './backed-up.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import { ends, goesBack, refuses } from './endings.ts';
import type { Ferry } from './ferry.ts';

const mebibyte = 1024n * 1024n;

let host: LibvirtHost;
beforeAll(async () => {
  host = await startHarbour();
});
afterAll(async () => {
  await host.stop();
});

/** So much of the disk behind the guest's region is written anew before an increment. */
const CHANGED_MIB = 96;

interface Slow {
  readonly berth: Berth;
  readonly directory: string;
  readonly ferry: Ferry;
  readonly before: Instant['before'];
  readonly job: string;
}

/** A domain with a full backup, and an increment that is under way and hardly moves. */
async function slowIncrement(name: string, on = host, parent?: string): Promise<Slow> {
  const berth = await makeBerth(on, name, { size: 320n * mebibyte });
  const directory = parent === undefined ? backupDirectory(berth, 'backups') : join(parent, 'backups');
  await ends(berth.ferry(['backup', name, directory, '--guard', 'off']), 'done');
  const write = `qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend "write -P 9 208M ${CHANGED_MIB}M"`;
  await berth.virsh('qemu-monitor-command', '--hmp', write);
  await using connection = await connect(on.uri);
  const domain = await connection.lookupDomainByName(name);
  const job = await nameOfJob(domain);
  const before = await berth.guest.acknowledged();
  const begun = 'domain.backupBegin';
  const halt = { at: 'effect', name: begun, signal: 'SIGSTOP' } as const;
  // QEMU begins with as much at once as it has buffers for; what is left when they are through goes slowly.
  const held = await holdReads(on, name, berth.disk, 4);
  const ferry = berth.ferry(['backup', name, directory, '--incremental'], halt);
  await ferry.halted(begun);
  await domain.monitorCommand(speedOf(job, mebibyte));
  await held.release();
  return { berth, directory, ferry, before, job };
}

/** libvirt calls it by the node of the active image (qemuBlockJobDiskNewBackup). */
async function nameOfJob(domain: Domain): Promise<string> {
  const path = DomainXml.parse(await domain.getXmlDesc()).disk('vda')?.source;
  const query = { execute: 'query-named-block-nodes', arguments: { flat: true } };
  const nodes = (await domain.monitorCommand(query)) as readonly Readonly<Record<string, string>>[];
  const active = nodes.find(
    ({ drv, file }) => drv === 'qcow2' && path?.kind === 'file' && file === path.path,
  );
  return `backup-vda-${active?.['node-name']}`;
}

const speedOf = (device: string, speed: bigint) => {
  return { execute: 'block-job-set-speed', arguments: { device, speed: Number(speed) } };
};

async function hurry({ berth, job }: Slow): Promise<void> {
  await berth.virsh('qemu-monitor-command', JSON.stringify(speedOf(job, 0n)));
}

async function expectIncrement({ berth, directory, before }: Slow, what: string): Promise<void> {
  const points = await expectBackups(berth, directory, what);
  assert.equal(points.length, 2, what);
  const after = await berth.guest.acknowledged();
  await expectOfInstant(await imageAt(directory, points[1] ?? ''), { before, after }, what);
}

const jobIsOver = (berth: Berth) =>
  until('the end of the job', async () => {
    return (await berth.virsh('domjobinfo')).includes('None') ? true : undefined;
  });

describe.concurrent('while an increment is being written', () => {
  it('libvirtd dies: it goes on in QEMU, and is seen to be complete', async () => {
    // Of its own: the others' would be killed as well.
    await using alone = await startHarbour();
    const slow = await slowIncrement('daemon', alone);
    await alone.restartLibvirtd();
    slow.ferry.cont();
    await slow.ferry.find('progress', (line) => line.type === 'progress' || undefined);
    await hurry(slow);
    await ends(slow.ferry, 'done');
    assert.ok(!slow.ferry.passed('step-done').includes('begin-anew'));
    await expectIncrement(slow, 'libvirtd was killed');
  }, 240_000);

  it('blockferry dies: resume joins it', async () => {
    const slow = await slowIncrement('joined');
    await slow.ferry.kill();
    const resumed = slow.berth.resume();
    await resumed.find('progress', (line) => line.type === 'progress' || undefined);
    await hurry(slow);
    await ends(resumed, 'done');
    await expectIncrement(slow, 'joined');
  }, 240_000);

  it('blockferry dies, and nobody sees it end: it is not trusted, and made anew', async () => {
    const slow = await slowIncrement('unseen');
    await slow.ferry.kill();
    await hurry(slow);
    await jobIsOver(slow.berth);
    const resumed = slow.berth.resume();
    await resumed.step('begin-anew');
    await ends(resumed, 'done');
    await expectIncrement(slow, 'made anew');
  }, 240_000);

  it('it is aborted from elsewhere: nothing of it is left, and the next one has what it would have had', async () => {
    const slow = await slowIncrement('aborted');
    const { berth, directory } = slow;
    slow.ferry.cont();
    await ends(berth.ferry(['abort', berth.name]), 'back');
    await goesBack(slow.ferry, /undone|cancel/i);
    assert.equal((await expectBackups(berth, directory, 'aborted')).length, 1);
    await ends(berth.ferry(['backup', berth.name, directory, '--incremental']), 'done');
    await expectIncrement(slow, 'after an abort');
  }, 240_000);

  it('QEMU dies: nothing of it is left, and the next backup is a full one', async () => {
    const { berth, directory, ferry } = await slowIncrement('qemu');
    await host.killQemu(berth.name);
    ferry.cont();
    await goesBack(ferry, /shut off|job|domain/i);
    assert.equal((await pointsIn(directory)).length, 1);
    await berth.guest.start();
    await refuses(berth.ferry(['backup', berth.name, directory, '--incremental']), 'checkpoint-broken');
    const before = await berth.guest.acknowledged();
    await ends(berth.ferry(['backup', berth.name, directory, '--guard', 'off']), 'done');
    const points = await expectBackups(berth, directory, 'QEMU was killed');
    const after = await berth.guest.acknowledged();
    await expectOfInstant(
      await imageAt(directory, points[1] ?? ''),
      { before, after },
      'after QEMU was killed',
    );
  }, 240_000);

  it('blockferry and QEMU die, and the domain is started again: resume ends it, as QEMU dying alone does', async () => {
    const { berth, directory, ferry } = await slowIncrement('all');
    await ferry.kill();
    await host.killQemu(berth.name);
    await berth.guest.start();
    await goesBack(berth.resume(), /bitmap|checkpoint/);
    assert.equal((await expectBackups(berth, directory, 'all died')).length, 1);
    await refuses(berth.ferry(['backup', berth.name, directory, '--incremental']), 'checkpoint-broken');
    await ends(berth.ferry(['backup', berth.name, directory, '--guard', 'off']), 'done');
    assert.equal((await expectBackups(berth, directory, 'all died, then in full')).length, 2);
  }, 240_000);

  it('its storage fails after QEMU has written it: that is seen, and the next one has what it would have had', async () => {
    await using storage = await failingFileSystem(host, { bytes: 512n * mebibyte });
    const slow = await slowIncrement('arrives', host, storage.directory);
    await storage.fail();
    await hurry(slow);
    await jobIsOver(slow.berth);
    await storage.heal();
    slow.ferry.cont();
    await goesBack(slow.ferry, /not all of it reached its storage/);
    const { berth, directory } = slow;
    assert.equal((await expectBackups(berth, directory, 'it did not arrive')).length, 1);
    await ends(berth.ferry(['backup', berth.name, directory, '--incremental']), 'done');
    await expectIncrement(slow, 'after one that did not arrive');
  }, 240_000);
});
