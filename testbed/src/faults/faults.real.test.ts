// Each fault strikes when it is told to, ends when it is told to, and is gone with its scope.
import { access, readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LibvirtHost, startLibvirtHost } from '../libvirt-host/host.ts';
import { RunError, run } from '../process/run.ts';
import { faultyBlockDevice, loopDevice } from './block-device.ts';
import { failingFileSystem, smallFileSystem } from './file-system.ts';
import { faultyNbdServer, freePort, nbdServer } from './nbd-server.ts';

let host: LibvirtHost;
let image = '';

beforeAll(async () => {
  host = await startLibvirtHost();
  image = `${host.imagesDir}/image.raw`;
  await run(['truncate', '-s', '8M', image]);
});

afterAll(() => host.stop());

const write = (target: string, timeoutMs = 10_000) =>
  run(['qemu-io', '-f', 'raw', '-c', 'write 0 4k', target], { timeoutMs }).then(
    () => 'written',
    (cause: unknown) => (cause instanceof RunError ? cause.message : 'another error'),
  );

const writeDirectly = (device: string) =>
  run(['dd', 'if=/dev/zero', 'bs=4k', 'count=1', 'oflag=direct', `of=${device}`]);

test('an NBD server hangs, goes on, dies and comes back', async () => {
  for (const address of [{ socket: `${image}.sock` }, { port: await freePort() }]) {
    await using server = await nbdServer({ path: image, export: 'vol', address });
    expect(await write(server.uri)).toBe('written');
    server.hang();
    expect(await write(server.uri, 500)).toContain('no end after');
    server.resume();
    expect(await write(server.uri)).toBe('written');
    await server.kill();
    expect(await write(server.uri)).toContain('refused');
    await server.start();
    expect(await write(server.uri)).toBe('written');
  }
  await expect(access(`${image}.sock`)).rejects.toThrow('ENOENT');
});

test('an NBD server fails its writes and heals', async () => {
  await using server = await faultyNbdServer({
    path: image,
    error: 'ENOSPC',
    failing: ['pwrite'],
    writeDelayMs: 1,
  });
  expect(await write(server.uri)).toBe('written');
  await server.fail();
  expect(await write(server.uri)).toContain('No space left on device');
  await server.heal();
  expect(await write(server.uri)).toBe('written');
});

test('a block device fails and heals', async () => {
  await using disk = await faultyBlockDevice(host, { path: image });
  await writeDirectly(disk.device);
  await disk.fail();
  await expect(writeDirectly(disk.device)).rejects.toThrow('Input/output error');
  await disk.heal();
  await writeDirectly(disk.device);
});

test('a loop device is of the file’s size, and is detached', async () => {
  const loop = await loopDevice(host, image);
  expect((await run(['blockdev', '--getsize64', loop.device])).stdout.trim()).toBe(String(8 << 20));
  await loop.stop();
  expect((await run(['losetup', '-nlO', 'BACK-FILE'])).stdout).not.toContain(image);
});

for (const type of ['ext4', 'tmpfs'] as const) {
  test(`${type} fills up, and has room again`, async () => {
    const small = await smallFileSystem(host, { bytes: 4n << 20n, type });
    const file = `${small.directory}/file`;
    await small.fillUp(256n << 10n);
    await writeFile(file, Buffer.alloc(128 << 10));
    await small.fillUp();
    await expect(writeFile(`${file}2`, Buffer.alloc(4096))).rejects.toThrow('ENOSPC');
    await small.makeRoom();
    await writeFile(`${file}2`, Buffer.alloc(4096));
    await small.stop();
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(small.directory);
  });
}

test('a frozen file system holds its writers until it is thawed', async () => {
  await using small = await smallFileSystem(host, { bytes: 4n << 20n });
  await small.freeze();
  const writing = writeFile(`${small.directory}/file`, 'x').then(() => 'written');
  const first = await Promise.race([writing, new Promise((resolve) => setTimeout(resolve, 300, 'waiting'))]);
  expect(first).toBe('waiting');
  await small.thaw();
  expect(await writing).toBe('written');
});

test('a file system fails and heals, and goes with the host', async () => {
  await using small = await failingFileSystem(host, { bytes: 16n << 20n });
  const file = `${small.directory}/file`;
  await writeDirectly(file);
  await small.fail();
  await expect(writeDirectly(file)).rejects.toThrow('Input/output error');
  await small.heal();
  await writeDirectly(file);
});
