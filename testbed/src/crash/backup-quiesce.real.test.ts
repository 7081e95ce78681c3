// The guest's file systems are frozen for the instant of an increment, and thawed whatever dies.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, it } from 'vitest';
import { agentDomainXml, agentSaid } from '../guest/agent.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';
import { until } from '../process/until.ts';
import { pointsIn } from './backed-up.ts';
import { startHarbour } from './berth.ts';
import { ends } from './endings.ts';
import { type Ferry, type Halt, startFerry } from './ferry.ts';

const NAME = 'quiet';

let host: LibvirtHost;
let directory: string;
beforeAll(async () => {
  host = await startHarbour();
  directory = join(host.imagesDir, 'backups');
  const path = join(host.imagesDir, 'disk.qcow2');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', path, '16M']);
  const file = join(host.directory, 'guest', `${NAME}.xml`);
  const disks = [{ target: 'vda', path, format: 'qcow2' }] as const;
  await writeFile(file, await agentDomainXml(host, { name: NAME, disks }));
  await host.virsh('define', file);
  await host.virsh('start', NAME);
  await until('the agent', async () => {
    return /state='connected'/.test(await host.virsh('dumpxml', NAME)) || undefined;
  });
});
afterAll(async () => {
  await host.stop();
});

const ferry = (argv: readonly string[], halt?: Halt): Ferry =>
  startFerry(argv, {
    uri: host.uri,
    stateDirectory: join(host.directory, 'state'),
    ...(halt && { halt }),
  });
const increment = (halt?: Halt) =>
  ferry(['backup', NAME, directory, '--incremental', '--quiesce', 'require'], halt);
const quiesced = async () =>
  (await pointsIn(directory)).map((point) => point.kind === 'sealed' && point.manifest.quiesced);

it('frozen, and thawed at once; by whoever goes on, if who had frozen them died', async () => {
  await ends(ferry(['backup', NAME, directory]), 'done');
  await ends(increment(), 'done');
  assert.deepEqual(await quiesced(), [true, true]);
  const before = await agentSaid(host, NAME);
  assert.equal(before.at(-1), 'thawed');
  for (const effect of ['domain.fsFreeze', 'domain.backupBegin']) {
    await increment({ at: 'effect', name: effect }).diedAfter(effect);
    assert.equal((await agentSaid(host, NAME)).at(-1), 'frozen', effect);
    await ends(ferry(['resume', NAME]), 'done');
    assert.equal((await agentSaid(host, NAME)).at(-1), 'thawed', effect);
  }
  assert.equal((await quiesced()).length, 4);
}, 240_000);
