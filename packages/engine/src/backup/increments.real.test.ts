// Increments: each point shows what the disk held at its instant, whatever comes between.
import { join } from 'node:path';
import {
  backUp,
  checkAll,
  type LibvirtHost,
  Mover,
  removeIdle,
  run,
  startIdle,
  startLibvirtHost,
  topOf,
  writeAsGuest,
} from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';

let host: LibvirtHost;
let mover: Mover;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
});
afterAll(async () => {
  await mover.close();
  await host.stop();
});
beforeEach(async () => {
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('base.qcow2'), '64M']);
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', at('top.qcow2')], {
    cwd: host.imagesDir,
  });
  await startIdle(host, { name: 'vm', disks: [{ target: 'vda', path: at('top.qcow2'), format: 'qcow2' }] });
});
afterEach(async () => {
  await removeIdle(host, 'vm');
  await run(['sh', '-c', 'rm -rf "$1"/*', 'sh', host.imagesDir]);
});

it('makes a full point and increments on it', async () => {
  const tools = mover.context.host;
  if (tools === undefined) throw new Error('no tools');
  const directory = at('backup');
  await writeAsGuest(host, 'vm', 1);
  const full = await backUp(mover.context, { domain: 'vm', directory });
  expect(full.outcome).toEqual({ kind: 'done' });
  for (const mib of [3, 5, 7]) {
    await writeAsGuest(host, 'vm', mib);
    const more = await backUp(mover.context, { domain: 'vm', directory, kind: 'incremental' });
    expect(more.outcome).toEqual({ kind: 'done' });
    const { path } = await topOf(tools, directory, more.record.point);
    const { stdout } = await run([
      'qemu-img',
      'compare',
      '-U',
      '-f',
      'qcow2',
      '-F',
      'qcow2',
      path,
      at('top.qcow2'),
    ]);
    expect(stdout).toContain('identical');
  }
  expect((await checkAll(tools, directory)).map(({ problems }) => problems)).toEqual([[], [], [], []]);
  console.log(
    (await run(['find', directory, '-ls'])).stdout,
    await host.virsh('checkpoint-list', 'vm'),
    JSON.stringify(full.reports.filter((r) => r.type === 'step')),
  );
  console.log((await run(['sh', '-c', `cat ${directory}/*/manifest.json | tail -60`])).stdout);
});

it('restores', async () => {
  const { restore } = await import('@blockferry/engine');
  const directory = at('backup');
  await writeAsGuest(host, 'vm', 1);
  await backUp(mover.context, { domain: 'vm', directory });
  await writeAsGuest(host, 'vm', 3);
  await backUp(mover.context, { domain: 'vm', directory, kind: 'incremental' });
  const reports: unknown[] = [];
  const done = await restore(
    mover.context,
    { directory, as: { kind: 'new', name: 'copy' } },
    { signal: AbortSignal.timeout(60_000), report: (r) => reports.push(r) },
  );
  console.log(done, await host.virsh('dumpxml', 'copy'), reports);
  await host.virsh('start', 'copy', '--paused');
  await removeIdle(host, 'copy');
  await host.virsh('destroy', 'vm');
  const over = await restore(
    mover.context,
    { directory, as: { kind: 'over' } },
    { signal: AbortSignal.timeout(60_000), report: (r) => reports.push(r) },
  );
  console.log(over, await host.virsh('dumpxml', 'vm'), await host.virsh('checkpoint-list', 'vm'));
});
