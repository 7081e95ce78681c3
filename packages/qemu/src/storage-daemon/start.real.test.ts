// The real qemu-storage-daemon, here and over ssh: it works for us, and never outlives us.
import { expect, test, vi } from 'vitest';
import { toBlockdev } from '../image/blockdev.ts';
import type { Image } from '../image/location.ts';
import { compare } from '../qemu-img/compare.ts';
import { create } from '../qemu-img/create.ts';
import { isQmpEvent } from '../qmp/commands.ts';
import { killHard, startTestProgram } from '../testing/child-process.ts';
import { describeEachHost } from '../testing/each-host.ts';
import { startNbdkit } from '../testing/nbd-server.ts';
import { noProcessWithArgument, processesWithArgument, uniqueMark } from '../testing/processes.ts';
import { startStorageDaemon } from './start.ts';

const MiB = 1024n * 1024n;

describeEachHost('a storage daemon', (on) => {
  const image = (name: string, format: string): Image => ({
    location: { kind: 'file', path: on.path(name) },
    format,
  });

  test('yields the processor to others, in a session of its own', async () => {
    const said = on.path('niceness');
    // Where the kernel does not group tasks by session there is nothing to tell but the niceness.
    const script = `{ nice; cut -d' ' -f2- /proc/self/autogroup; } >${said} 2>/dev/null\nexec qemu-storage-daemon "$@"`;
    await on.host.writeFileAtomic(on.path('daemon'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    await using daemon = await startStorageDaemon(on.host, { program: on.path('daemon'), yields: true });
    expect(daemon.qmp.version.major).toBeGreaterThanOrEqual(7);
    expect(await on.host.readFile(said)).toMatch(/^10\n(nice 10\n)?$/);
    const { stdout } = await on.host.run(['sh', '-c', 'nice; cut -d" " -f2- /proc/self/autogroup']);
    expect(stdout).toMatch(/^0\n(nice 0\n)?$/);
  });

  test('copies an image with a backup job, told by its events', async () => {
    const [source, target] = [image('a, b=c', 'qcow2'), image('t', 'raw')];
    await create(on.host, source, 8n * MiB);
    await create(on.host, target, 8n * MiB);
    await on.host.run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 7 1M 3M', on.path('a, b=c')]);
    await using daemon = await startStorageDaemon(on.host);
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
    expect(await compare(on.host, [source], [target], { timeoutMs: 30_000 })).toEqual({ same: true });
  });

  test('says what QEMU says when it refuses, and keeps on serving', async () => {
    await using daemon = await startStorageDaemon(on.host);
    const args = { 'node-name': 'n', ...toBlockdev(image('none', 'qcow2')) };
    await expect(daemon.qmp.execute('blockdev-add', args)).rejects.toMatchObject({
      errorClass: 'GenericError',
      description: expect.stringContaining('No such file'),
    });
    expect(await daemon.qmp.execute('query-jobs')).toEqual([]);
  });

  test('is gone after stop, also with a job that can make no progress', async () => {
    await using server = await startNbdkit(on.path('sock'), 'memory', '8M');
    const source = image('s', 'raw');
    await create(on.host, source, 8n * MiB);
    await on.host.run(['qemu-io', '-f', 'raw', '-c', 'write -P 7 0 8M', on.path('s')]);
    const daemon = await startStorageDaemon(on.host);
    const target: Image = {
      location: { kind: 'nbd', server: { socket: on.path('sock') }, export: '' },
      format: 'raw',
    };
    await daemon.qmp.execute('blockdev-add', { 'node-name': 's', ...toBlockdev(source) });
    await daemon.qmp.execute('blockdev-add', { 'node-name': 't', ...toBlockdev(target) });
    process.kill(server.pid, 'SIGSTOP');
    await daemon.qmp.execute('blockdev-backup', { 'job-id': 'j', device: 's', target: 't', sync: 'full' });
    await daemon.stop(300);
    await expect(daemon.qmp.execute('query-jobs')).rejects.toMatchObject({ name: 'QmpConnectionError' });
    await vi.waitFor(
      async () => expect(await on.host.run(['fuser', on.path('s')])).toMatchObject({ code: 1 }),
      {
        timeout: 15_000,
      },
    );
  });

  test('that does not start tells why', async () => {
    await expect(startStorageDaemon(on.host, { program: 'no-such-daemon' })).rejects.toMatchObject({
      code: 'not-found',
    });
    await expect(startStorageDaemon(on.host, { program: 'false', timeoutMs: 5_000 })).rejects.toMatchObject({
      name: 'StorageDaemonError',
    });
  });

  test('dies with us when we are killed', async () => {
    // The daemon is started under a name of our own, to find it by.
    const program = on.path(uniqueMark());
    await on.host.run(['ln', '-s', '/usr/bin/qemu-storage-daemon', program]);
    const parent = await startTestProgram('daemon-and-wait.ts', JSON.stringify(on.destination), program);
    expect((await processesWithArgument(program)).length).toBeGreaterThan(1);
    await killHard(parent);
    await noProcessWithArgument(program);
  });
});
