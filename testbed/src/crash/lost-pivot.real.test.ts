// QEMU pivots while no libvirtd is there to see it: whatever libvirtd makes of that when it is back, the guest's writes
// are safe, nothing is thrown away unasked, and the next start is from the right image.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { type Berth, type BerthOptions, makeBerth, startHarbour } from './berth.ts';
import { asks, ends, interrupted, refuses } from './endings.ts';
import { pivotUnseen } from './monitor.ts';
import { chainOf, expectWhole } from './whole.ts';

let host: LibvirtHost;
beforeAll(async () => {
  host = await startHarbour();
});
afterAll(async () => {
  await host.stop();
});

type Lost = { readonly berth: Berth; readonly source: string; readonly destination: string };

/**
 * A move is killed when it has recorded that it will pivot; libvirtd is killed; QEMU pivots. Libvirtd is not there yet.
 * With `dismissed`, nothing of the job is left for it to find.
 */
async function losePivot(
  name: string,
  options: readonly string[],
  spec: BerthOptions = {},
  dismissed = false,
): Promise<Lost> {
  const berth = await makeBerth(host, name, spec);
  const destination = berth.newPath();
  await berth.move(destination, options, { at: 'step-done', name: 'record#2' }).gone();
  await host.killLibvirtd();
  await pivotUnseen(host, name, dismissed);
  berth.debris = true;
  await berth.guest.waitForWrites(10);
  return { berth, source: berth.disk, destination };
}

async function nextBoot(berth: Berth): Promise<string | undefined> {
  const source = DomainXml.parse(await berth.virsh('dumpxml', '--inactive')).disk('vda')?.source;
  return source?.kind === 'file' ? source.path : undefined;
}

const moved = (what: string, { berth, source, destination }: Lost) =>
  expectWhole(berth, what, { on: destination, besides: [source] });

describe('QEMU pivoted unseen, and runs on', () => {
  it('libvirtd takes it for an aborted copy: asked of QEMU, never removed, right at the next start', async () => {
    const lost = await losePivot('unseen', []);
    const { berth, destination } = lost;
    await host.restartLibvirtd();
    await asks(berth.resume(), 'phantom-mirror');
    await asks(berth.abort(), 'phantom-mirror');
    assert.equal(await nextBoot(berth), destination);
    await berth.guest.stop();
    await berth.guest.start();
    await ends(berth.resume(), 'moved');
    await moved('taken for aborted', lost);
  });

  it('libvirtd shows the mirror for ever: the same', async () => {
    const lost = await losePivot('phantom', ['--no-transient-job'], { autostart: true }, true);
    const { berth, destination } = lost;
    await host.restartLibvirtd();
    await asks(berth.resume(), 'phantom-mirror');
    assert.equal(await nextBoot(berth), destination);
    await berth.guest.stop();
    await berth.guest.start();
    await ends(berth.resume(), 'moved');
    await moved('a mirror for ever', lost);
  });

  it('libvirtd loses the domain: it is not believed that the guest is off, and nothing is answered for it', async () => {
    const lost = await losePivot('unknown', [], {}, true);
    const { berth } = lost;
    await spoilStatus(berth);
    await host.restartLibvirtd();
    assert.match(await berth.virsh('domstate'), /shut off/);
    await asks(berth.resume(), 'unknown-to-libvirt');
    await asks(berth.abort(), 'unknown-to-libvirt');
    await refuses(berth.resume(['--use', 'source']), 'not-asked');
    await berth.guest.waitForWrites(10);
    await host.killQemu(berth.name);
    await asks(berth.resume(), 'which-side');
    await ends(berth.resume(['--use', 'destination']), 'moved');
    await expectWhole(berth, 'unknown', { on: lost.destination, besides: [lost.source], running: false });
  });
});

describe('QEMU pivoted unseen, wrote on and died', () => {
  it('asks which side, and goes on to the destination when told', async () => {
    const lost = await losePivot('destination', []);
    await bothDie(lost.berth);
    await asks(lost.berth.resume(), 'which-side');
    await asks(lost.berth.abort(), 'which-side');
    await bothThere(lost);
    await ends(lost.berth.resume(['--use', 'destination']), 'moved');
    await expectWhole(lost.berth, 'destination', {
      on: lost.destination,
      besides: [lost.source],
      running: false,
    });
  });

  it('goes back to the source when told, and may be moved again', async () => {
    const { berth, source } = await losePivot('source', ['--no-transient-job']);
    await bothDie(berth);
    await asks(berth.resume(), 'which-side');
    await interrupted(berth.resume(['--use', 'source']), 'domain-off');
    assert.equal(await nextBoot(berth), source);
    await ends(berth.abort(), 'back');
    assert.deepEqual(await berth.files(), ['base.qcow2', 'top.qcow2']);
  });

  it('asks also when the domain was started from the source meanwhile, and abort throws nothing away', async () => {
    const lost = await losePivot('restarted', []);
    const { berth } = lost;
    await bothDie(berth);
    await berth.guest.start();
    await asks(berth.resume(), 'which-side');
    await asks(berth.abort(), 'which-side');
    await asks(berth.resume(), 'which-side');
    await bothThere(lost);
    await ends(berth.resume(['--use', 'source']), 'back');
  });

  it('goes on by itself when the two are the same', async () => {
    const berth = await makeBerth(host, 'same');
    const destination = berth.newPath();
    await berth.move(destination, [], { at: 'step-done', name: 'record#2' }).gone();
    await berth.virsh('suspend');
    await host.killLibvirtd();
    await pivotUnseen(host, berth.name);
    await bothDie(berth);
    await interrupted(berth.resume(), 'domain-off');
    await berth.guest.start();
    await ends(berth.resume(), 'moved');
    await expectWhole(berth, 'same', { on: destination, besides: [berth.disk] });
  });
});

async function bothDie(berth: Berth): Promise<void> {
  await host.killQemu(berth.name);
  await host.restartLibvirtd();
}

async function bothThere({ source, destination }: Lost): Promise<void> {
  for (const top of [source, destination]) await chainOf(top);
}

/** What libvirt 9.0 leaves when it is killed while it cleans up after a pivot: a mirror of no job, which it cannot read. */
async function spoilStatus({ name }: Berth): Promise<void> {
  const file = join(host.directory, 'run/libvirt/qemu', `${name}.xml`);
  await writeFile(file, (await readFile(file, 'utf8')).replaceAll("job='copy'", "job=''"));
}
