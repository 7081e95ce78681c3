import { join } from 'node:path';
import { type Context, Link, OpenMoves, planOf, preflight, runMove } from '@blockferry/engine';
import { localHost } from '@blockferry/qemu';
import { guestWriter, makeChain, startGuest, startLibvirtHost, verifyAcknowledged } from './index.ts';

await using lh = await startLibvirtHost();
console.log(lh.uri);
const chain = await makeChain(lh.imagesDir, ['base', 'snap1', 'snap2'], {
  files: { base: { '/foo': 'a' }, snap1: { '/bar': 'b' }, snap2: { '/baz': 'c' } },
});
const guest = await startGuest(lh, {
  name: 'testvm',
  disks: [{ path: chain.top.path, target: 'vda', format: 'qcow2' }],
  writers: [guestWriter('vda', chain.region)],
});
await guest.waitForWrites(50);
const host = localHost();
const context: Context = { link: new Link(lh.uri), host, openMoves: new OpenMoves(host, '/tmp/try/state') };
const t = performance.now();
const found = await preflight(context, {
  domain: 'testvm',
  disk: 'vda',
  destination: join(lh.imagesDir, 'copy.qcow2'),
  scope: 'shallow',
  reuseExternal: false,
  hold: false,
  undefine: process.argv[2] === 'undefine',
  options: { synchronousWrites: false, converge: false, deleteSource: false },
});
console.log('preflight', performance.now() - t, planOf(found).steps, found.warnings);
const mark = await guest.mark();
const ended = await runMove(context, found.move, {
  signal: new AbortController().signal,
  report: (r) => console.log(Math.round(performance.now() - t), r),
});
console.log('total', performance.now() - t, ended.ending, ended.cutoverMs);
await guest.waitForWrites(50);
console.log(await guest.stats(mark));
console.log(await lh.virsh('domblklist', 'testvm'), await lh.virsh('domblklist', '--inactive', 'testvm'));
console.log((await lh.virsh('dumpxml', 'testvm')).match(/<metadata>[\s\S]*<\/metadata>/)?.[0]);
await guest.stop();
console.log(
  await verifyAcknowledged(
    { path: join(lh.imagesDir, 'copy.qcow2'), format: 'qcow2' },
    await guest.acknowledged(),
  ).then((v) => ({ ...v, lost: v.lost.length })),
);
await context.link.close();
await host.close();
