// blockferry ls and cat on real images, through a real libguestfs, whose machine takes its time to boot without KVM.
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Image, type LibvirtHost, run, startLibvirtHost, withRawView } from '@blockferry/testbed';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inProcess, jsonLines, type Where } from '../test/command.ts';
import { hostState } from '../test/host-state.ts';
import { stillDomain } from '../test/still-domain.ts';

/** What trips those who put names into commands or lines. */
const ODD = 'o"d\'d \\x41 $HOME !ls #\nü';
const MINUTES = 60_000;
const content = randomBytes(3 * 1024 * 1024 + 1);

let host: LibvirtHost;
let where: Where;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  where = { uri: host.uri, stateDirectory: join(host.directory, 'state') };
  const seed = join(host.directory, 'seed');
  await mkdir(join(seed, ODD), { recursive: true });
  await writeFile(join(seed, ODD, 'bytes'), content);
  await writeFile(Buffer.concat([Buffer.from(`${seed}/`), Buffer.from([0xff])]), 'x');
  await symlink('/etc/passwd', join(seed, 'link'));
  await disk('base', [seed]);
  await overlay('top', 'base', 'qcow2');
  await stillDomain(host, 'web', [{ target: 'vda', path: at('top'), format: 'qcow2' }]);
  await fakeSystem();
}, 2 * MINUTES);

afterAll(() => host?.stop());

/** A partition with a file system for each of these directories, 48 MiB each. */
async function disk(name: string, seeds: readonly string[]): Promise<void> {
  const image: Image = { path: at(name), format: 'qcow2' };
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', image.path, `${1 + seeds.length * 48}M`]);
  const starts = seeds.map((_, index) => 1 + index * 48);
  const table = starts.map((start) => `start=${start * 2048}, size=${48 * 2048}, type=83\\n`).join('');
  const systems = starts.map(
    (start, index) => `mke2fs -q -t ext4 -F -E offset=${start * 1048576} -d "$${index + 2}" "$1" 48M`,
  );
  const script = [`printf 'label: dos\\n${table}' | sfdisk -q "$1"`, ...systems].join(' && ');
  await withRawView(image, 'write', (view) => ['sh', '-euc', script, 'sh', view, ...seeds]);
}

async function overlay(name: string, base: string, format: string): Promise<void> {
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', at(base), '-F', format, at(name)]);
}

/** What libguestfs takes for Debian, with a second file system at /data. */
async function fakeSystem(): Promise<void> {
  const root = join(host.directory, 'root');
  const data = join(host.directory, 'data');
  for (const name of [
    'etc',
    'bin',
    'usr',
    'lib',
    'sbin',
    'var',
    'data',
    'boot',
    'home',
    'root',
    'dev',
    'proc',
    'tmp',
  ])
    await mkdir(join(root, name), { recursive: true });
  await mkdir(data);
  await writeFile(join(root, 'etc/debian_version'), '12.7\n');
  await writeFile(join(root, 'etc/os-release'), 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n');
  await writeFile(
    join(root, 'etc/fstab'),
    '/dev/sda1 / ext4 defaults 0 1\n/dev/sda2 /data ext4 defaults 0 2\n',
  );
  await writeFile(join(data, 'on the second'), '');
  await disk('system', [root, data]);
  await rm(root, { recursive: true });
  await stillDomain(host, 'debian', [{ target: 'vda', path: at('system'), format: 'qcow2' }], {
    running: false,
  });
}

it('ls shows what a running guest has on its disk, whatever the names, and changes nothing', {
  timeout: 5 * MINUTES,
}, async () => {
  const before = await hostState(host, [host.imagesDir]);
  const lines = jsonLines(await inProcess(where, 'ls', 'web', '/', '--json'));
  expect(lines[0]).toMatchObject({
    type: 'warning',
    code: 'torn-view',
    message: expect.stringContaining('web'),
  });
  expect(lines.at(-1)).toMatchObject({ type: 'result', outcome: 'done', exitCode: 0 });
  const entries = lines.filter(({ type }) => type === 'entry');
  expect(entries).toMatchObject([
    { name: 'link', target: '/etc/passwd', details: { type: 'symlink' } },
    { name: 'lost+found', details: { type: 'directory', mode: 0o700 } },
    { name: ODD, rawName: null, details: { type: 'directory' } },
    { name: '\ufffd', rawName: '/w==', details: { type: 'file', size: 1 } },
  ]);
  expect(await hostState(host, [host.imagesDir])).toBe(before);
});

it('cat gives the bytes of a file, of an image by its path too', { timeout: 5 * MINUTES }, async () => {
  const said = await inProcess(where, 'cat', at('top'), `/${ODD}/bytes`);
  expect(said).toMatchObject({ code: 0, err: expect.stringContaining('web runs and writes to') });
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  expect(digest(Buffer.from(said.out, 'latin1'))).toBe(digest(content));
});

it("ls sees a guest's file systems where its operating system mounts them", {
  timeout: 5 * MINUTES,
}, async () => {
  const said = await inProcess(where, 'ls', 'debian', '/data', '-l');
  expect(said).toMatchObject({ code: 0, err: '' });
  expect(said.out).toMatch(/^-rw-r--r-- +0:0 +0 +20\d\d-.* on the second$/m);
});

it.each([
  ['a domain that is not there', ['ls', 'none', '/'], 'there is no domain none'],
  ['an image whose format nobody declares', ['ls', '/etc/hostname', '/'], 'no domain uses'],
  ['a path that begins nowhere', ['cat', 'web', 'etc/fstab'], 'begins with a slash'],
  ['a disk that is not there', ['ls', 'web', '/', '--disk', 'vdz'], 'has no disk vdz'],
])('%s is refused before anything is opened', async (_, argv, words) => {
  expect(await inProcess(where, ...argv)).toMatchObject({
    code: 3,
    out: '',
    err: expect.stringContaining(words),
  });
});
