// Snapshots, checkpoints and backups on a real daemon.
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type LibvirtHost, run, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeDomain, type TestDomain } from '../../../test/domains.ts';
import {
  type Connection,
  connect,
  DomainBackupBeginFlags,
  DomainCheckpointDeleteFlags,
  DomainCheckpointXmlFlags,
  DomainJobStatsFlags,
  DomainListFlags,
  DomainSnapshotCreateFlags,
  DomainSnapshotDeleteFlags,
  DomainUndefineFlags,
  ErrorCode,
} from '../../index.ts';

let host: LibvirtHost;
let connection: Connection;
let vm: TestDomain;
let count = 0;

beforeAll(async () => {
  host = await startLibvirtHost({ name: 'bf-protect' });
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
const named = (name: string) => `<domainsnapshot><name>${name}</name></domainsnapshot>`;

describe('snapshots', () => {
  it('form a tree that can be walked, gone back in and pruned', async () => {
    const { domain } = vm;
    expect(await domain.listAllSnapshots()).toEqual([]);
    expect(await domain.currentSnapshot()).toBeNull();
    await domain.snapshotCreateXml(named('first'));
    const second = await domain.snapshotCreateXml(named('second'));
    expect((await domain.listAllSnapshots()).map(({ name }) => name).sort()).toEqual(['first', 'second']);
    expect((await domain.currentSnapshot())?.name).toBe('second');
    expect((await second.parent())?.name).toBe('first');
    const first = await domain.lookupSnapshotByName('first');
    expect(await first.parent()).toBeNull();
    expect((await first.listAllChildren()).map(({ name }) => name)).toEqual(['second']);
    expect(await first.getXmlDesc()).toContain('<name>first</name>');
    await first.revert();
    expect((await domain.currentSnapshot())?.name).toBe('first');
    await second.delete();
    await first.delete();
    await expect(domain.lookupSnapshotByName('first')).rejects.toEqual(code(ErrorCode.NO_DOMAIN_SNAPSHOT));
  });

  it('of the disk alone leave no trace in libvirt when asked to', async () => {
    const { DISK_ONLY, ATOMIC, NO_METADATA } = DomainSnapshotCreateFlags;
    const snapshot = await vm.domain.snapshotCreateXml(named('overlay'), DISK_ONLY | ATOMIC | NO_METADATA);
    expect(snapshot.name).toBe('overlay');
    expect(await vm.domain.listAllSnapshots()).toEqual([]);
    expect(await vm.domain.getXmlDesc()).toContain('.overlay');
  });

  it('outlive an undefine only when it says what to do with them', async () => {
    const { domain } = vm;
    const flags = DomainSnapshotCreateFlags.DISK_ONLY;
    const snapshot = await domain.snapshotCreateXml(named('overlay'), flags);
    await domain.destroy();
    await expect(domain.undefine()).rejects.toEqual(code(ErrorCode.OPERATION_INVALID));
    await snapshot.delete(DomainSnapshotDeleteFlags.METADATA_ONLY);
    await domain.undefine(DomainUndefineFlags.SNAPSHOTS_METADATA);
  });
});

describe('checkpoints', () => {
  const checkpoint = (name: string) =>
    `<domaincheckpoint><name>${name}</name><disks><disk name='vda' checkpoint='bitmap'/></disks></domaincheckpoint>`;

  it('are made, listed, measured and deleted', async () => {
    const { domain } = vm;
    const one = await domain.checkpointCreateXml(checkpoint('one'));
    await domain.checkpointCreateXml(checkpoint('two'));
    expect((await domain.listAllCheckpoints()).map(({ name }) => name).sort()).toEqual(['one', 'two']);
    expect(await one.getXmlDesc(DomainCheckpointXmlFlags.NO_DOMAIN)).toContain("bitmap='one'");
    expect(await one.getXmlDesc(DomainCheckpointXmlFlags.SIZE)).toContain("size='0'");
    expect(await one.parent()).toBeNull();
    const two = await domain.lookupCheckpointByName('two');
    expect((await two.parent())?.name).toBe('one');
    await two.delete();
    await one.delete(DomainCheckpointDeleteFlags.CHILDREN);
    await expect(domain.lookupCheckpointByName('one')).rejects.toEqual(code(ErrorCode.NO_DOMAIN_CHECKPOINT));
  });
});

describe('a backup', () => {
  it('pushes to a file and makes a checkpoint for the next one', async () => {
    const { domain } = vm;
    const target = join(host.imagesDir, `backup${count}.qcow2`);
    await using done = await connection.subscribe('jobCompleted');
    await using jobs = await connection.subscribe('blockJob2');
    const disk = `<disk name='vda' type='file'><target file='${target}'/><driver type='qcow2'/></disk>`;
    await domain.backupBegin(
      `<domainbackup><disks>${disk}</disks></domainbackup>`,
      '<domaincheckpoint><name>base</name></domaincheckpoint>',
    );
    expect((await done.next()).value?.params).toMatchObject({ operation: 9, success: true });
    expect((await jobs.next()).value).toMatchObject({ disk: 'vda', type: 'backup', status: 'completed' });
    expect(await domain.jobStats(DomainJobStatsFlags.COMPLETED)).toMatchObject({
      type: 'completed',
      stats: { operation: 9, success: true, disk_total: 16_777_216n },
    });
    expect((await domain.listAllCheckpoints()).map(({ name }) => name)).toEqual(['base']);
    const { stdout } = await run(['qemu-img', 'info', '-f', 'qcow2', '--output=json', target]);
    expect(JSON.parse(stdout)).toMatchObject({ 'virtual-size': 16_777_216 });
  });

  it('offers the disk to be pulled until it is aborted', async () => {
    const { domain } = vm;
    // QEMU itself makes the socket, as its own user.
    const directory = join(host.imagesDir, 'pull');
    await mkdir(directory);
    await chmod(directory, 0o777);
    const socket = join(directory, 'sock');
    const scratch = join(host.imagesDir, `scratch${count}.qcow2`);
    await run(['qemu-img', 'create', '-q', '-f', 'qcow2', scratch, '16M']);
    await expect(domain.backupGetXmlDesc()).rejects.toEqual(code(ErrorCode.NO_DOMAIN_BACKUP));
    const disk = `<disk name='vda' type='file'><scratch file='${scratch}'/></disk>`;
    const xml = `<domainbackup mode='pull'><server transport='unix' socket='${socket}'/><disks>${disk}</disks></domainbackup>`;
    await domain.backupBegin(xml, null, DomainBackupBeginFlags.REUSE_EXTERNAL);
    expect(await domain.backupGetXmlDesc()).toContain("mode='pull'");
    expect(await domain.jobStats()).toMatchObject({ type: 'unbounded' });
    await using done = await connection.subscribe('jobCompleted', { domain });
    await domain.abortJob();
    expect((await done.next()).value?.params).toMatchObject({ operation: 9 });
    await expect(domain.backupGetXmlDesc()).rejects.toEqual(code(ErrorCode.NO_DOMAIN_BACKUP));
  });
});
