// Destinations that answer, refuse, and hang in every way that a guest must never feel.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { makeCertificates } from '@blockferry/testbed';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { localHost } from '../host/local.ts';
import type { Image, NbdLocation } from '../image/location.ts';
import { create } from '../qemu-img/create.ts';
import { startNbdkit, startQemuNbd, startTlsNbd } from '../testing/nbd-server.ts';
import { freePort } from '../testing/sshd.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { probeDestination, takesTwoClients } from './destination.ts';

const MiB = 1024n * 1024n;
const SOON = 700;
const LATER = 20_000;
const host = localHost();
afterAll(() => host.close());

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
beforeEach(async () => {
  directory = await temporaryDirectory();
});
afterEach(() => directory.remove());
const at = (name: string) => join(directory.path, name);
const file = (name: string, format: string): Image => ({
  location: { kind: 'file', path: at(name) },
  format,
});
const nbd = (name: string, exportName = ''): Image => ({
  location: { kind: 'nbd', server: { socket: at(name) }, export: exportName },
  format: 'raw',
});

test('an image on a file system that answers', async () => {
  await create(host, file('a b', 'qcow2'), MiB);
  expect(await probeDestination(host, file('a b', 'qcow2'), LATER)).toEqual({
    kind: 'answers',
    virtualSize: MiB,
  });
  expect(await host.readdir(directory.path)).toEqual(['a b']);
});

test('an image that is not there, or not of that format, is an error', async () => {
  expect(await probeDestination(host, file('none', 'raw'), LATER)).toMatchObject({
    kind: 'error',
    error: { code: 'no-such-file' },
  });
  await create(host, file('plain', 'raw'), MiB);
  expect(await probeDestination(host, file('plain', 'qcow2'), LATER)).toMatchObject({
    kind: 'error',
    error: { code: 'not-this-format' },
  });
});

test('an NBD export that answers, without a byte of it changed', async () => {
  writeFileSync(at('disk'), Buffer.alloc(Number(MiB), 'x'));
  const digest = () =>
    createHash('sha256')
      .update(readFileSync(at('disk')))
      .digest('hex');
  const before = digest();
  await using _ = await startQemuNbd(at('disk'), at('s,o c'), 'ex, port');
  expect(await probeDestination(host, nbd('s,o c', 'ex, port'), LATER)).toEqual({
    kind: 'answers',
    virtualSize: MiB,
  });
  expect(digest()).toBe(before);
});

test('an NBD server that is stopped hangs, and answers again when it goes on', async () => {
  writeFileSync(at('disk'), Buffer.alloc(Number(MiB)));
  await using server = await startQemuNbd(at('disk'), at('sock'));
  process.kill(server.pid, 'SIGSTOP');
  expect(await probeDestination(host, nbd('sock'), SOON)).toMatchObject({ kind: 'hang' });
  process.kill(server.pid, 'SIGCONT');
  expect(await probeDestination(host, nbd('sock'), LATER)).toMatchObject({ kind: 'answers' });
});

test('an NBD server that greets but serves no reads hangs', async () => {
  await using _ = await startNbdkit(at('sock'), '--filter=delay', 'memory', '1M', 'rdelay=600');
  expect(await probeDestination(host, nbd('sock'), SOON)).toMatchObject({ kind: 'hang' });
});

test('a server that serves one client at a time is told from one that serves several', async () => {
  writeFileSync(at('disk'), Buffer.alloc(Number(MiB)));
  await using _several = await startQemuNbd(at('disk'), at('several'));
  expect(await takesTwoClients(host, nbd('several'), LATER)).toBe(true);
  await using _one = await startQemuNbd(at('disk'), at('one'), '', 'raw', 1);
  expect(await probeDestination(host, nbd('one'), LATER)).toMatchObject({ kind: 'answers' });
  expect(await takesTwoClients(host, nbd('one'), SOON)).toBe(false);
});

test('a socket that accepts and says nothing hangs', async () => {
  const silent = createServer().listen(at('sock'));
  try {
    expect(await probeDestination(host, nbd('sock'), SOON)).toMatchObject({ kind: 'hang' });
  } finally {
    silent.close();
  }
});

test('a read-only, a failing and an absent NBD server are errors, in words', async () => {
  await using _readOnly = await startNbdkit(at('ro'), '-r', 'memory', '1M');
  expect(await probeDestination(host, nbd('ro'), LATER)).toMatchObject({
    kind: 'error',
    detail: expect.stringContaining('Permission denied'),
  });
  await using _failing = await startNbdkit(
    at('eio'),
    '--filter=error',
    'memory',
    '1M',
    'error-pread-rate=100%',
  );
  expect(await probeDestination(host, nbd('eio'), LATER)).toMatchObject({
    kind: 'error',
    detail: expect.stringContaining('Input/output error'),
  });
  expect(await probeDestination(host, nbd('absent'), LATER)).toMatchObject({
    kind: 'error',
    detail: expect.not.stringContaining('json:'),
  });
});

test('an NBD server that demands TLS answers only to its certificates', async () => {
  await makeCertificates(directory.path);
  writeFileSync(at('disk'), Buffer.alloc(Number(MiB)));
  const port = await freePort();
  await using _ = await startTlsNbd(at('disk'), port, directory.path);
  const location: NbdLocation = { kind: 'nbd', server: { host: '127.0.0.1', port }, export: '' };
  const tls = { directory: directory.path, hostname: 'localhost' };
  expect(await probeDestination(host, { location: { ...location, tls }, format: 'raw' }, LATER)).toEqual({
    kind: 'answers',
    virtualSize: MiB,
  });
  expect(await probeDestination(host, { location, format: 'raw' }, LATER)).toMatchObject({
    kind: 'error',
    detail: expect.stringContaining('TLS'),
  });
});

test('a frozen file system hangs, and takes nothing of ours with it', async () => {
  execFileSync('truncate', ['-s', '16M', at('fs')]);
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-F', at('fs')]);
  await host.mkdir(at('mnt'));
  execFileSync('mount', ['-o', 'loop', at('fs'), at('mnt')]);
  try {
    await create(host, file('mnt/d', 'qcow2'), MiB);
    execFileSync('fsfreeze', ['-f', at('mnt')]);
    try {
      expect(await probeDestination(host, file('mnt/d', 'qcow2'), SOON)).toMatchObject({ kind: 'hang' });
    } finally {
      execFileSync('fsfreeze', ['-u', at('mnt')]);
    }
    expect(await probeDestination(host, file('mnt/d', 'qcow2'), LATER)).toMatchObject({ kind: 'answers' });
  } finally {
    execFileSync('umount', ['-l', at('mnt')]);
  }
});
