// The guard asked for the 95th percentile of a real guest's writes: QEMU counts them, for as long as a copy lasts.
import type { Domain } from '@blockferry/libvirt';
import { guestWriter, makeChain, startGuest, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Link } from '../run/link.ts';
import { guarded } from './guarded.ts';

let host: Awaited<ReturnType<typeof startLibvirtHost>>;
let link: Link;
let domain: Domain;

beforeAll(async () => {
  host = await startLibvirtHost({ name: 'bf-guarded' });
  const { top, region } = await makeChain(host.imagesDir, ['base', 'top']);
  const writers = [guestWriter('vda', region, { rate: 300 })];
  const guest = await startGuest(host, { name: 'vm', disks: [{ target: 'vda', ...top }], writers });
  await guest.waitForWrites(1);
  link = new Link(host.uri);
  domain = await (await link.connection()).lookupDomainByName('vm');
});
afterAll(async () => {
  await link.close();
  await host.stop();
});

const statistics = async () => JSON.stringify(await domain.monitorCommand({ execute: 'query-blockstats' }));

/** A copy that does nothing, until 900 writes of the guest have been counted. */
async function copyUntilCounted(disk: string): Promise<ReturnType<typeof guarded>> {
  const counted = Promise.withResolvers<void>();
  const bulk = {
    run: () => counted.promise,
    setSpeed: async () => {},
    progress: () => ({ copiedNow: 0n }),
  };
  const copy = guarded(
    { link, uuid: domain.uuid, disk, guard: { p95: 2 } },
    bulk,
    AbortSignal.timeout(60_000),
  );
  const running = copy.run();
  const before = (await domain.blockStats('vda')).wr_operations as bigint;
  while (((await domain.blockStats('vda')).wr_operations as bigint) < before + 900n) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  counted.resolve();
  await running;
  return copy;
}

it.each(['vda', ''])('of disk %j it tells what the writes took alone and beside the copy', async (disk) => {
  const { baselineP95Ms, p95Ms, meanMs } = (await copyUntilCounted(disk)).summary();
  expect(baselineP95Ms).toBeGreaterThan(0);
  expect(p95Ms).toBeGreaterThan(0);
  expect(meanMs).toBeGreaterThan(0);
  // QEMU forgets it afterwards.
  expect(await statistics()).not.toContain('bins');
});

it('leaves the histogram of somebody else as it is', async () => {
  const devices = (await domain.monitorCommand({ execute: 'query-blockstats' })) as { qdev: string }[];
  const boundaries = { 'boundaries-write': [1_000_000, 10_000_000] };
  const set = { execute: 'block-latency-histogram-set', arguments: { id: devices[0]?.qdev, ...boundaries } };
  await domain.monitorCommand(set);
  const { p95Ms, meanMs } = (await copyUntilCounted('vda')).summary();
  expect(p95Ms).toBeUndefined();
  expect(meanMs).toBeGreaterThan(0);
  expect(await statistics()).toContain('[1000000,10000000]');
});
