// Storage pools, volumes and their streams on a real daemon.
import { createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LibvirtHost, run, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Connection,
  connect,
  ErrorCode,
  type StoragePool,
  StoragePoolCreateFlags,
  StorageVolumeCreateFlags,
} from '../../index.ts';

let host: LibvirtHost;
let connection: Connection;
let pool: StoragePool;

const poolXml = (name: string) =>
  `<pool type='dir'><name>${name}</name><target><path>${join(host.imagesDir, name)}</path></target></pool>`;
const volumeXml = (name: string, bytes: number, format = 'raw') =>
  `<volume><name>${name}</name><capacity unit='bytes'>${bytes}</capacity><target><format type='${format}'/></target></volume>`;
const code = (wanted: number) => expect.objectContaining({ name: 'LibvirtError', code: wanted });

beforeAll(async () => {
  host = await startLibvirtHost({ name: 'bf-storage' });
  connection = await connect(host.uri);
  pool = await connection.createStoragePoolXml(poolXml('images'), StoragePoolCreateFlags.WITH_BUILD);
});
afterAll(async () => {
  await connection.close();
  await host.stop();
});

async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return Buffer.concat(pieces);
}

describe('pools', () => {
  it('are found by name, uuid, path and volume', async () => {
    expect((await connection.listAllStoragePools()).map(({ name }) => name)).toEqual(['images']);
    expect((await connection.lookupStoragePoolByName('images')).uuid).toBe(pool.uuid);
    expect((await connection.lookupStoragePoolByUuid(pool.uuid)).name).toBe('images');
    const path = join(host.imagesDir, 'images');
    expect((await connection.lookupStoragePoolByTargetPath(path)).name).toBe('images');
    await expect(connection.lookupStoragePoolByName('nil')).rejects.toEqual(code(ErrorCode.NO_STORAGE_POOL));
  });

  it('tell their state and size', async () => {
    expect(await pool.info()).toMatchObject({ state: 'running', capacity: expect.any(BigInt) });
    expect(await pool.isActive()).toBe(true);
    expect(await pool.isPersistent()).toBe(false);
    expect(await pool.getXmlDesc()).toContain('<name>images</name>');
  });

  it('are defined, built, started, stopped and forgotten, and each step is told', async () => {
    await using changes = await connection.subscribePoolLifecycle();
    const other = await connection.defineStoragePoolXml(poolXml('other'));
    await other.build();
    await other.create();
    expect(await other.isPersistent()).toBe(true);
    await other.destroy();
    expect(await other.info()).toMatchObject({ state: 'inactive' });
    await other.undefine();
    for (const event of ['defined', 'created', 'started', 'stopped', 'undefined']) {
      expect((await changes.next()).value).toMatchObject({ event, pool: { name: 'other' } });
    }
  });

  it('see a file that was made without libvirt after a refresh', async () => {
    await using refreshes = await connection.subscribePoolRefresh({ pool });
    await writeFile(join(host.imagesDir, 'images/stray.raw'), Buffer.alloc(4_096));
    await expect(pool.lookupVolumeByName('stray.raw')).rejects.toEqual(code(ErrorCode.NO_STORAGE_VOL));
    await pool.refresh();
    expect((await refreshes.next()).value).toMatchObject({ event: 'refreshed' });
    expect((await pool.lookupVolumeByName('stray.raw')).key).toContain('stray.raw');
  });
});

describe('volumes', () => {
  it('are created, found, resized and deleted', async () => {
    const flags = StorageVolumeCreateFlags.PREALLOC_METADATA;
    const volume = await pool.createVolumeXml(volumeXml('disk.qcow2', 1_048_576, 'qcow2'), flags);
    expect(volume.pool).toBe('images');
    const path = await volume.getPath();
    expect(path).toBe(join(host.imagesDir, 'images/disk.qcow2'));
    expect((await connection.lookupStorageVolumeByPath(path)).name).toBe('disk.qcow2');
    expect((await connection.lookupStorageVolumeByKey(volume.key)).name).toBe('disk.qcow2');
    expect((await pool.listAllVolumes()).map(({ name }) => name)).toContain('disk.qcow2');
    expect(await volume.poolUuid()).toBe(pool.uuid);
    expect(await volume.info()).toMatchObject({ type: 'file', capacity: 1_048_576n });
    await volume.resize(2_097_152n);
    expect(await volume.info()).toMatchObject({ capacity: 2_097_152n });
    expect(await volume.physicalBytes()).toBeGreaterThan(0n);
    expect(await volume.getXmlDesc()).toContain("<format type='qcow2'/>");
    const again = pool.createVolumeXml(volumeXml('disk.qcow2', 1));
    await expect(again).rejects.toEqual(code(ErrorCode.STORAGE_VOL_EXIST));
    await volume.delete();
    await expect(connection.lookupStorageVolumeByPath(path)).rejects.toEqual(code(ErrorCode.NO_STORAGE_VOL));
  });
});

describe('streams', () => {
  const size = 3_000_001;

  it('carry every byte up and down, in any pieces', async () => {
    const data = randomBytes(size);
    const volume = await pool.createVolumeXml(volumeXml('stream.raw', size));
    const pieces = [data.subarray(0, 1), data.subarray(1, 700_000), Buffer.alloc(0), data.subarray(700_000)];
    expect(await volume.upload(pieces)).toBe(BigInt(size));
    expect((await readFile(await volume.getPath())).equals(data)).toBe(true);
    expect((await bytesOf(volume.download())).equals(data)).toBe(true);
    const middle = volume.download({ offset: 1_000n, length: 500_000n });
    expect((await bytesOf(middle)).equals(data.subarray(1_000, 501_000))).toBe(true);
    await volume.upload([Buffer.from('patched')], { offset: 10n });
    expect((await bytesOf(volume.download({ offset: 10n, length: 7n }))).toString()).toBe('patched');
  });

  it('wait for a slow reader without keeping the connection from anything', async () => {
    const volume = await pool.createVolumeXml(volumeXml('slow.raw', 20_000_000));
    await run(['sh', '-c', `head -c 20000000 /dev/urandom > '${await volume.getPath()}'`]);
    const hash = createHash('sha256');
    let first = true;
    for await (const piece of volume.download()) {
      if (first) {
        expect(await connection.hostname()).toBe('bf-storage');
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      first = false;
      hash.update(piece);
    }
    const wanted = createHash('sha256').update(await readFile(await volume.getPath()));
    expect(hash.digest('hex')).toBe(wanted.digest('hex'));
  });

  it('are left early without harm', async () => {
    const volume = await pool.lookupVolumeByName('slow.raw');
    for await (const piece of volume.download()) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    expect(await volume.info()).toMatchObject({ capacity: 20_000_000n });
  });

  it('end with the reason of whoever gives them up', async () => {
    const volume = await pool.lookupVolumeByName('slow.raw');
    const stop = new AbortController();
    const endless = (async function* () {
      for (;;) {
        yield Buffer.alloc(65_536);
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const upload = volume.upload(endless, {}, { signal: stop.signal });
    setTimeout(() => stop.abort(new Error('enough')), 20);
    await expect(upload).rejects.toMatchObject({ message: expect.stringMatching(/enough/) });
    const already = volume.upload([Buffer.alloc(1)], {}, { signal: AbortSignal.abort(new Error('before')) });
    await expect(already).rejects.toThrow('before');
    expect(await connection.hostname()).toBe('bf-storage');
  });

  it('of a volume that is gone fail with a typed error', async () => {
    const volume = await pool.createVolumeXml(volumeXml('gone.raw', 4_096));
    await volume.delete();
    await expect(volume.upload([Buffer.alloc(10)])).rejects.toEqual(code(ErrorCode.NO_STORAGE_VOL));
    await expect(bytesOf(volume.download())).rejects.toEqual(code(ErrorCode.NO_STORAGE_VOL));
  });
});
