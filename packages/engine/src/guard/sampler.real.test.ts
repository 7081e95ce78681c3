// The sampler on a real domain: its counts are those of the guest's own writes.
import { connect } from '@blockferry/libvirt';
import { guestWriter, makeChain, startGuest, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { totalOf } from './histogram.ts';
import { meanMs } from './latency.ts';
import { LatencySampler } from './sampler.ts';

let host: Awaited<ReturnType<typeof startLibvirtHost>>;
let connection: Awaited<ReturnType<typeof connect>>;
let guest: Awaited<ReturnType<typeof startGuest>>;

beforeAll(async () => {
  host = await startLibvirtHost({ name: 'bf-guard' });
  const { top, region } = await makeChain(host.imagesDir, ['base', 'top']);
  const writers = [guestWriter('vda', region, { rate: 200 })];
  guest = await startGuest(host, { name: 'vm', disks: [{ target: 'vda', ...top }], writers });
  connection = await connect(host.uri);
});
afterAll(async () => {
  await connection.close();
  await host.stop();
});

describe('a guest that writes and flushes', () => {
  it('is heard through libvirt’s counters, and through the histogram that QEMU keeps', async () => {
    const domain = await connection.lookupDomainByName('vm');
    const sampler = new LatencySampler(domain, 'vda', { devices: async () => ['virtio-disk0'] });
    expect(await sampler.sample()).toBeUndefined();
    await guest.waitForWrites(100);
    const sample = await sampler.sample();
    expect(sample?.writes.operations).toBeGreaterThan(80);
    expect(sample?.flushes.operations).toBeGreaterThan(80);
    expect(meanMs(sample?.writes ?? { operations: 0, ms: 0 })).toBeGreaterThan(0);
    // QEMU was asked for it after the first reading of the counters.
    const inHistogram = totalOf(sample?.histogram ?? []);
    expect(Math.abs(inHistogram - (sample?.writes.operations ?? 0))).toBeLessThan(20);
    await sampler.close();
    expect(JSON.stringify(await domain.monitorCommand({ execute: 'query-blockstats' }))).not.toContain(
      'bins',
    );
  });

  it('that is not running cannot be asked', async () => {
    const domain = await connection.lookupDomainByName('vm');
    await guest.stop();
    await expect(new LatencySampler(domain, 'vda').sample()).rejects.toMatchObject({ name: 'LibvirtError' });
  });
});
