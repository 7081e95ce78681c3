// What dies while an increment is being written: it is complete, or it is gone.
import assert from 'node:assert/strict';
import { afterAll, beforeAll, describe, it } from 'vitest';
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
import { monitor } from './whole.ts';

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
}

/** A domain with a full backup, and an increment that is under way and hardly moves. */
async function slowIncrement(name: string, on = host): Promise<Slow> {
  const berth = await makeBerth(on, name, { size: 512n * mebibyte });
  const directory = backupDirectory(berth, 'backups');
  await ends(berth.ferry(['backup', name, directory]), 'done');
  const write = `qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend "write -P 9 400M ${CHANGED_MIB}M"`;
  await berth.virsh('qemu-monitor-command', '--hmp', write);
  const before = await berth.guest.acknowledged();
  const begun = 'domain.backupBegin';
  const ferry = berth.ferry(['backup', name, directory, '--incremental'], {
    at: 'effect',
    name: begun,
    signal: 'SIGSTOP',
  });
  await ferry.halted(begun);
  await setSpeed(berth, mebibyte);
  return { berth, directory, ferry, before };
}

async function setSpeed(berth: Berth, speed: bigint): Promise<void> {
  const jobs = (await monitor(berth, 'query-block-jobs')) as readonly { readonly device: string }[];
  const [job] = jobs;
  assert.ok(job !== undefined, 'the increment is still being written');
  const order = { execute: 'block-job-set-speed', arguments: { device: job.device, speed: Number(speed) } };
  await berth.virsh('qemu-monitor-command', JSON.stringify(order));
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
    await slow.ferry.step('begin-increment');
    await setSpeed(slow.berth, 0n);
    await ends(slow.ferry, 'done');
    await expectIncrement(slow, 'libvirtd was killed');
  }, 240_000);

  it('blockferry dies: resume joins it', async () => {
    const slow = await slowIncrement('joined');
    await slow.ferry.kill();
    const resumed = slow.berth.resume();
    await resumed.find('progress', (line) => line.type === 'progress' || undefined);
    await setSpeed(slow.berth, 0n);
    await ends(resumed, 'done');
    await expectIncrement(slow, 'joined');
  }, 240_000);

  it('blockferry dies, and nobody sees it end: it is not trusted, and made anew', async () => {
    const slow = await slowIncrement('unseen');
    await slow.ferry.kill();
    await setSpeed(slow.berth, 0n);
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
    await ends(berth.ferry(['backup', berth.name, directory]), 'done');
    const points = await expectBackups(berth, directory, 'QEMU was killed');
    const after = await berth.guest.acknowledged();
    await expectOfInstant(
      await imageAt(directory, points[1] ?? ''),
      { before, after },
      'after QEMU was killed',
    );
  }, 240_000);
});
