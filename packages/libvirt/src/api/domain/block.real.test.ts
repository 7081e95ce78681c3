// Block jobs, sizes, throttling and errors on a real daemon.
import { join } from 'node:path';
import { faultyNbdServer, type LibvirtHost, run, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { destination, makeDomain, makeImage, type TestDomain, xmlOf } from '../../../test/domains.ts';
import {
  type Connection,
  connect,
  DomainBlockCommitFlags,
  DomainBlockCopyFlags,
  DomainBlockJobAbortFlags,
  DomainBlockRebaseFlags,
  DomainListFlags,
  DomainSnapshotCreateFlags,
  DomainUndefineFlags,
  ErrorCode,
} from '../../index.ts';

let host: LibvirtHost;
let connection: Connection;
let vm: TestDomain;
let count = 0;

beforeAll(async () => {
  host = await startLibvirtHost({ name: 'bf-block' });
  connection = await connect(host.uri);
});
beforeEach(async () => {
  for (const each of await connection.listAllDomains(DomainListFlags.ACTIVE)) await each.destroy();
  count++;
  vm = await makeDomain(host, connection, `vm${count}`);
});
afterAll(async () => {
  await connection.close();
  await host.stop();
});

const code = (wanted: number) => expect.objectContaining({ name: 'LibvirtError', code: wanted });
const at = (name: string) => join(host.imagesDir, `${name}${count}.qcow2`);
const { TRANSIENT_JOB, SHALLOW, REUSE_EXT, SYNCHRONOUS_WRITES } = DomainBlockCopyFlags;

/** Writes to vda in the guest's stead, which has no operating system. */
function write(range: string): string {
  return `qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend "write ${range}"`;
}

async function snapshotTo(file: string): Promise<void> {
  const disk = `<disk name='vda' snapshot='external'><source file='${file}'/></disk>`;
  const flags = DomainSnapshotCreateFlags.DISK_ONLY | DomainSnapshotCreateFlags.NO_METADATA;
  await vm.domain.snapshotCreateXml(`<domainsnapshot><disks>${disk}</disks></domainsnapshot>`, flags);
}

/** The image files of vda's live chain, top first. */
async function chain(): Promise<readonly string[]> {
  const xml = await vm.domain.getXmlDesc();
  return [...xml.matchAll(/<source file='([^']*)'/g)].map(([, file]) => file ?? '');
}

describe('a copy', () => {
  it('runs to ready, and the pivot moves the disk to it', async () => {
    const { domain } = vm;
    await using jobs = await connection.subscribe('blockJob2', { domain });
    const params = { bandwidth: 100_000_000n, granularity: 65_536, bufSize: 1_048_576n };
    await domain.blockCopy('vda', destination(at('copy')), params, TRANSIENT_JOB | SYNCHRONOUS_WRITES);
    expect((await jobs.next()).value).toMatchObject({ disk: 'vda', type: 'copy', status: 'ready' });
    expect(await domain.getXmlDesc()).toMatch(/<mirror [^>]*ready='yes'/);
    expect(await domain.blockJobInfo('vda')).toEqual({
      ...{ type: 'copy', bandwidth: 100_000_000n },
      ...{ cur: 16_777_216n, end: 16_777_216n },
    });
    await domain.blockJobSetSpeed('vda', 5_000_000n);
    expect(await domain.blockJobInfo('vda')).toMatchObject({ bandwidth: 5_000_000n });
    await domain.blockJobAbort('vda', DomainBlockJobAbortFlags.PIVOT);
    expect((await jobs.next()).value).toMatchObject({ disk: 'vda', type: 'copy', status: 'completed' });
    expect(await domain.blockJobInfo('vda')).toBeNull();
    expect(await chain()).toEqual([at('copy')]);
  });

  it('that is aborted is told as canceled, and the disk stays', async () => {
    const { domain, image } = vm;
    await using jobs = await connection.subscribe('blockJob2', { domain });
    await domain.blockCopy('vda', destination(at('copy')), {}, TRANSIENT_JOB);
    expect((await jobs.next()).value?.status).toBe('ready');
    await domain.blockJobAbort('vda', DomainBlockJobAbortFlags.ASYNC);
    expect((await jobs.next()).value?.status).toBe('canceled');
    expect(await chain()).toEqual([image]);
  });

  it('goes into what exists already, the top alone', async () => {
    await snapshotTo(at('top'));
    await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', vm.image, at('new')]);
    await using jobs = await connection.subscribe('blockJob2');
    const flags = TRANSIENT_JOB | SHALLOW | REUSE_EXT;
    await vm.domain.blockCopy('vda', destination(at('new')), {}, flags);
    expect((await jobs.next()).value?.status).toBe('ready');
    await vm.domain.blockJobAbort('vda', DomainBlockJobAbortFlags.PIVOT);
    expect(await chain()).toEqual([at('new'), vm.image]);
  });

  it('is refused with a typed error where it cannot be', async () => {
    const { domain } = vm;
    const to = destination(at('copy'));
    await expect(domain.blockCopy('vda', to)).rejects.toEqual(code(ErrorCode.OPERATION_INVALID));
    await expect(domain.blockCopy('vdz', to, {}, TRANSIENT_JOB)).rejects.toEqual(code(ErrorCode.INVALID_ARG));
    const crooked = domain.blockCopy('vda', to, { granularity: 3 }, TRANSIENT_JOB);
    await expect(crooked).rejects.toEqual(code(ErrorCode.INVALID_ARG));
    await expect(domain.blockJobAbort('vda')).rejects.toEqual(code(ErrorCode.INVALID_ARG));
    await domain.blockCopy('vda', to, { bandwidth: 1n }, TRANSIENT_JOB);
    const second = domain.blockCopy('vda', destination(at('other')), {}, TRANSIENT_JOB);
    await expect(second).rejects.toEqual(code(ErrorCode.BLOCK_COPY_ACTIVE));
    await domain.blockJobAbort('vda');
  });

  it('that fails says so by its event', async () => {
    const { domain } = vm;
    const path = join(host.imagesDir, `nbd${count}.raw`);
    await run(['truncate', '-s', '16M', path]);
    await using server = await faultyNbdServer({ path });
    await using jobs = await connection.subscribe('blockJob2');
    await domain.humanMonitorCommand(write('0 8M'));
    const source = `<source protocol='nbd'><host transport='unix' socket='${path}.nbd'/></source>`;
    const to = `<disk type='network'><driver type='raw'/>${source}</disk>`;
    // The buffer bounds what is under way at once, whatever the bandwidth: with its default all would be.
    const params = { bandwidth: 1_000_000n, bufSize: 262_144n };
    await domain.blockCopy('vda', to, params, TRANSIENT_JOB | REUSE_EXT);
    await server.fail();
    await domain.blockJobSetSpeed('vda', 0n);
    expect((await jobs.next()).value).toMatchObject({ type: 'copy', status: 'failed' });
    expect(await domain.blockJobInfo('vda')).toBeNull();
  });
});

describe('a chain', () => {
  it('is shortened by a commit of the active image, which waits for its pivot', async () => {
    const { domain } = vm;
    await snapshotTo(at('top'));
    expect(await chain()).toEqual([at('top'), vm.image]);
    await using jobs = await connection.subscribe('blockJob2');
    await domain.blockCommit('vda', {}, 0n, DomainBlockCommitFlags.ACTIVE);
    expect((await jobs.next()).value).toMatchObject({ type: 'activeCommit', status: 'ready' });
    expect(await domain.blockJobInfo('vda')).toMatchObject({ type: 'activeCommit' });
    await domain.blockJobAbort('vda', DomainBlockJobAbortFlags.PIVOT);
    expect((await jobs.next()).value).toMatchObject({ type: 'activeCommit', status: 'completed' });
    expect(await chain()).toEqual([vm.image]);
  });

  it('is shortened in the middle, by index', async () => {
    await snapshotTo(at('middle'));
    await snapshotTo(at('top'));
    const element = /<backingStore type='file' index='(\d+)'>\s*<format[^>]*>\s*<source file='[^']*middle/;
    const index = element.exec(await vm.domain.getXmlDesc())?.[1];
    await using jobs = await connection.subscribe('blockJob2');
    await vm.domain.blockCommit('vda', { top: `vda[${index}]` }, 50_000_000n);
    expect((await jobs.next()).value).toMatchObject({ type: 'commit', status: 'completed' });
    expect(await chain()).toEqual([at('top'), vm.image]);
  });

  it('is pulled up, wholly or down to a base', async () => {
    await snapshotTo(at('middle'));
    await snapshotTo(at('top'));
    await using jobs = await connection.subscribe('blockJob2');
    await vm.domain.blockRebase('vda', vm.image, 50_000_000n);
    expect((await jobs.next()).value).toMatchObject({ type: 'pull', status: 'completed' });
    expect(await chain()).toEqual([at('top'), vm.image]);
    await vm.domain.blockPull('vda', 50_000_000n);
    expect((await jobs.next()).value).toMatchObject({ type: 'pull', status: 'completed' });
    expect(await chain()).toEqual([at('top')]);
  });

  it('of a transient domain is copied the old way too', async () => {
    const image = await makeImage(host, `transient${count}.qcow2`, 1_048_576n);
    const domain = await connection.createDomainXml(xmlOf(`transient${count}`, image));
    await using jobs = await connection.subscribe('blockJob2', { domain });
    await domain.blockRebase('vda', at('old-way'), 0n, DomainBlockRebaseFlags.COPY);
    expect((await jobs.next()).value).toMatchObject({ type: 'copy', status: 'ready' });
    await domain.blockJobAbort('vda', DomainBlockJobAbortFlags.PIVOT);
    expect(await domain.getXmlDesc()).toContain(at('old-way'));
  });
});

describe('a disk', () => {
  it('has sizes and counters', async () => {
    const { domain } = vm;
    expect(await domain.blockInfo('vda')).toMatchObject({ capacity: 16_777_216n });
    expect((await domain.blockInfo('vda')).physical).toBeGreaterThan(0n);
    expect(await domain.blockStats('vda')).toMatchObject({ rd_bytes: expect.any(BigInt) });
    expect(await domain.blockStats('')).toMatchObject({ wr_operations: expect.any(BigInt) });
  });

  it('grows', async () => {
    await vm.domain.blockResize('vda', 33_554_432n);
    expect(await vm.domain.blockInfo('vda')).toMatchObject({ capacity: 33_554_432n });
  });

  it('is throttled', async () => {
    const { domain } = vm;
    await using tunables = await connection.subscribe('tunable', { domain });
    await domain.setBlockIoTune('vda', { total_bytes_sec: 1_000_000n, group_name: 'slow' });
    expect(await domain.getBlockIoTune('vda')).toMatchObject({
      total_bytes_sec: 1_000_000n,
      group_name: 'slow',
      read_iops_sec: 0n,
    });
    const { value: event } = await tunables.next();
    expect(event?.params).toMatchObject({ 'blkdeviotune.disk': 'vda' });
  });

  it('tells when writes pass a mark', async () => {
    const { domain } = vm;
    await using crossings = await connection.subscribe('blockThreshold');
    await domain.setBlockThreshold('vda', 65_536n);
    await domain.humanMonitorCommand(write('0 1M'));
    const { value: crossing } = await crossings.next();
    expect(crossing).toMatchObject({ threshold: 65_536n, domain: { uuid: domain.uuid } });
    expect(crossing?.dev).toMatch(/^vda/);
  });

  it('has had no errors', async () => {
    expect(await vm.domain.diskErrors()).toEqual([]);
  });

  it('of a domain with a job keeps the definition where it is', async () => {
    await vm.domain.blockCopy('vda', destination(at('copy')), { bandwidth: 1n }, TRANSIENT_JOB);
    await vm.domain.undefine(DomainUndefineFlags.SNAPSHOTS_METADATA);
    expect(await vm.domain.isPersistent()).toBe(false);
    await vm.domain.destroy();
  });
});
