// The real qemu-storage-daemon, here and over ssh: it works for us, and never outlives us.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Host } from '../host/host.ts';
import { localHost } from '../host/local.ts';
import { sshHost } from '../host/ssh.ts';
import { toBlockdev } from '../image/blockdev.ts';
import type { Image } from '../image/location.ts';
import { compare } from '../qemu-img/compare.ts';
import { create } from '../qemu-img/create.ts';
import { isQmpEvent } from '../qmp/commands.ts';
import { startNbdkit } from '../testing/nbd-server.ts';
import { processesWithArgument } from '../testing/processes.ts';
import { startSshd, type TestSshd } from '../testing/sshd.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { startStorageDaemon } from './start.ts';

const START_AND_WAIT = fileURLToPath(new URL('../testing/daemon-and-wait.ts', import.meta.url));
const MiB = 1024n * 1024n;

let sshd: TestSshd;
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(() => sshd.stop());

describe.each(['localhost', 'ssh'] as const)('a storage daemon (%s)', (kind) => {
  let host: Host;
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  const image = (name: string, format: string): Image => ({
    location: { kind: 'file', path: join(directory.path, name) },
    format,
  });

  beforeAll(() => {
    host = kind === 'ssh' ? sshHost(sshd.destination) : localHost();
  });
  afterAll(() => host.close());
  beforeEach(async () => {
    directory = await temporaryDirectory();
  });
  afterEach(() => directory.remove());

  test('copies an image with a backup job, told by its events', async () => {
    const [source, target] = [image('a, b=c', 'qcow2'), image('t', 'raw')];
    await create(host, source, 8n * MiB);
    await create(host, target, 8n * MiB);
    await host.run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 7 1M 3M', join(directory.path, 'a, b=c')]);
    await using daemon = await startStorageDaemon(host);
    const { qmp } = daemon;
    expect(qmp.version.major).toBeGreaterThanOrEqual(7);
    const events = qmp.events();
    await qmp.execute('blockdev-add', {
      'node-name': 's',
      ...toBlockdev(source),
      'read-only': true,
    });
    await qmp.execute('blockdev-add', { 'node-name': 't', ...toBlockdev(target) });
    await qmp.execute('blockdev-backup', {
      'job-id': 'j',
      device: 's',
      target: 't',
      sync: 'full',
      'auto-dismiss': false,
      'x-perf': { 'max-workers': 8, 'max-chunk': 4n * MiB },
    });
    for await (const event of events) {
      if (isQmpEvent(event, 'JOB_STATUS_CHANGE') && event.data.status === 'concluded') break;
    }
    const [job] = await qmp.execute('query-jobs');
    expect(job).toMatchObject({
      id: 'j',
      status: 'concluded',
      'current-progress': 8n * MiB,
      'total-progress': 8n * MiB,
    });
    expect(job?.error).toBeUndefined();
    await qmp.execute('job-dismiss', { id: 'j' });
    await qmp.execute('blockdev-del', { 'node-name': 's' });
    await qmp.execute('blockdev-del', { 'node-name': 't' });
    expect(await compare(host, [source], [target], { timeoutMs: 30_000 })).toEqual({ same: true });
  });

  test('says what QEMU says when it refuses, and keeps on serving', async () => {
    await using daemon = await startStorageDaemon(host);
    const args = { 'node-name': 'n', ...toBlockdev(image('none', 'qcow2')) };
    await expect(daemon.qmp.execute('blockdev-add', args)).rejects.toMatchObject({
      errorClass: 'GenericError',
      description: expect.stringContaining('No such file'),
    });
    expect(await daemon.qmp.execute('query-jobs')).toEqual([]);
  });

  test('is gone after stop, also with a job that can make no progress', async () => {
    await using server = await startNbdkit(join(directory.path, 'sock'), 'memory', '8M');
    const source = image('s', 'raw');
    await create(host, source, 8n * MiB);
    await host.run(['qemu-io', '-f', 'raw', '-c', 'write -P 7 0 8M', join(directory.path, 's')]);
    const daemon = await startStorageDaemon(host);
    const target: Image = {
      location: { kind: 'nbd', server: { socket: join(directory.path, 'sock') }, export: '' },
      format: 'raw',
    };
    await daemon.qmp.execute('blockdev-add', { 'node-name': 's', ...toBlockdev(source) });
    await daemon.qmp.execute('blockdev-add', { 'node-name': 't', ...toBlockdev(target) });
    process.kill(server.pid, 'SIGSTOP');
    await daemon.qmp.execute('blockdev-backup', { 'job-id': 'j', device: 's', target: 't', sync: 'full' });
    await daemon.stop(300);
    await expect(daemon.qmp.execute('query-jobs')).rejects.toMatchObject({ name: 'QmpConnectionError' });
    await vi.waitFor(
      async () => expect(await host.run(['fuser', join(directory.path, 's')])).toMatchObject({ code: 1 }),
      {
        timeout: 15_000,
      },
    );
  });

  test('that does not start tells why', async () => {
    await expect(startStorageDaemon(host, { program: 'no-such-daemon' })).rejects.toMatchObject({
      code: 'not-found',
    });
    await expect(startStorageDaemon(host, { program: 'false', timeoutMs: 5_000 })).rejects.toMatchObject({
      name: 'StorageDaemonError',
    });
  });

  test('dies with us when we are killed', async () => {
    // The daemon is started under a name of our own, to find it by.
    const program = join(directory.path, `daemon-${randomBytes(6).toString('hex')}`);
    await host.run(['ln', '-s', '/usr/bin/qemu-storage-daemon', program]);
    const destination = JSON.stringify(kind === 'ssh' ? sshd.destination : null);
    const parent = spawn(process.execPath, [START_AND_WAIT, destination, program]);
    await started(parent);
    expect((await processesWithArgument(program)).length).toBeGreaterThan(1);
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    await vi.waitFor(async () => expect(await processesWithArgument(program)).toEqual([]), {
      timeout: 15_000,
    });
  });
});

async function started(child: ChildProcess): Promise<void> {
  if (!child.stdout || !child.stderr) throw new Error('no pipes');
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error(`it ended: ${stderr}`))),
  ]);
}
