import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { guestWriter, startGuest } from '../guest/guest.ts';
import { writerRegion } from '../images/chain.ts';
import { isRunning } from '../process/namespace-pids.ts';
import { run } from '../process/run.ts';
import { until } from '../process/until.ts';
import { startLibvirtHost } from './host.ts';

const gone = (path: string) =>
  access(path).then(
    () => undefined,
    () => true as const,
  );

const mountsBelow = async (directory: string) =>
  (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter((line) => line.includes(directory));

test('a host answers to its own name and UUID, and leaves nothing behind', async () => {
  const uuid = '11111111-2222-3333-4444-555555555555';
  const host = await startLibvirtHost({ name: 'host-a', uuid });
  const pid = (await host.libvirtdPid()) ?? 0;
  expect((await host.virsh('hostname')).trim()).toBe('host-a');
  expect(await host.virsh('capabilities')).toContain(`<uuid>${uuid}</uuid>`);
  expect((await host.inNamespace(['hostname'])).stdout.trim()).toBe('host-a');
  expect(await isRunning(pid)).toBe(true);
  await host.stop();
  expect(await isRunning(pid)).toBe(false);
  expect(await gone(host.directory)).toBe(true);
  expect(await mountsBelow(host.directory)).toEqual([]);
});

test('two hosts at once have domains of the same name and see each other’s not', async () => {
  await using first = await startLibvirtHost({ name: 'host-a' });
  await using second = await startLibvirtHost({ name: 'host-b' });
  const a = await startGuest(first, { name: 'vm', disks: [] });
  expect((await second.virsh('list', '--all', '--name')).trim()).toBe('');
  const b = await startGuest(second, { name: 'vm', disks: [], persistent: false });
  expect(await first.qemuPid('vm')).not.toBe(await second.qemuPid('vm'));
  await b.stop();
  expect((await second.virsh('list', '--all', '--name')).trim()).toBe('');
  expect((await first.virsh('list', '--name')).trim()).toBe('vm');
  await a.stop();
  expect((await first.virsh('list', '--all', '--name')).trim()).toBe('vm');
});

test('a machine lives through the death and return of its libvirtd', async () => {
  await using host = await startLibvirtHost();
  const path = `${host.imagesDir}/disk.qcow2`;
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', path, '16M']);
  const writers = [guestWriter('vda', writerRegion(16n << 20n))];
  const guest = await startGuest(host, {
    name: 'vm',
    disks: [{ target: 'vda', path, format: 'qcow2' }],
    writers,
  });
  const pid = await host.qemuPid('vm');
  await host.killLibvirtd();
  expect(await host.libvirtdPid()).toBeUndefined();
  await guest.waitForWrites(20);
  await host.restartLibvirtd();
  expect((await host.virsh('domstate', 'vm')).trim()).toBe('running');
  expect(await host.qemuPid('vm')).toBe(pid);
  await host.killQemu('vm');
  await until('libvirt noticing', async () =>
    (await host.virsh('domstate', 'vm')).includes('shut off') ? true : undefined,
  );
  expect(await host.qemuPid('vm')).toBeUndefined();
});

test('a file system mounted later is seen inside the host', async () => {
  await using host = await startLibvirtHost();
  await run(['mkdir', `${host.imagesDir}/later`]);
  await run(['mount', '-t', 'tmpfs', 'tmpfs', `${host.imagesDir}/later`]);
  await run(['touch', `${host.imagesDir}/later/file`]);
  expect((await host.inNamespace(['ls', `${host.imagesDir}/later`])).stdout.trim()).toBe('file');
});

test('a killed test process takes its host and machines with it', async () => {
  const program = fileURLToPath(new URL('host-for-a-killed-process.ts', import.meta.url));
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data');
  const { directory, pids }: { directory: string; pids: number[] } = JSON.parse(String(line));
  expect(await Promise.all(pids.map(isRunning))).toEqual([true, true]);
  child.kill('SIGKILL');
  await until('removal of the host', () => gone(directory));
  expect(await Promise.all(pids.map(isRunning))).toEqual([false, false]);
  expect(await mountsBelow(directory)).toEqual([]);
});
