// A disk in LUKS is migrated, qcow2 over a raw base: nothing of it is ever in plain on the destination's storage, the secret
// must be there and open it before anything is touched, and whoever dies in the middle, nothing is lost.
import assert from 'node:assert/strict';
import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import { afterAll, beforeAll, it, vi } from 'vitest';
import { guestWriter, startGuest } from '../guest/guest.ts';
import { lostOnDisk, verifyAcknowledged } from '../guest/verify.ts';
import { makeChain } from '../images/chain.ts';
import { defineSecret, makeEncrypted, quickKeys } from '../images/encrypted.ts';
import { type LibvirtHost, startLibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';
import { FerryPair } from './ferry-pair.ts';

const SECRET = '0aa7a40c-6d49-4c1b-9f51-7a1a6f3d1c55';
const PASSPHRASE = 'open sesame';
const OBJECT = `secret,id=key,data=${PASSPHRASE}`;
const KEY = `<encryption format='luks'><secret type='passphrase' uuid='${SECRET}'/></encryption>`;
/** In the disk's file system, and in every block that the guest writes (see guest/blocks.ts). */
const PLAIN = ['never-to-be-read-in-plain', 'BLBFERW1', PASSPHRASE];

let pair: FerryPair;
let hosts: LibvirtHost[] = [];

beforeAll(async () => {
  hosts = await Promise.all(['bf-one', 'bf-two'].map((name) => startLibvirtHost({ name })));
  const [one, two] = hosts;
  assert.ok(one !== undefined && two !== undefined);
  vi.stubEnv('PATH', `${await quickKeys(one)}:${process.env.PATH}`);
  await defineSecret(one, SECRET, PASSPHRASE);
  const region = await makeLocked(one.imagesDir);
  const guest = await startGuest(one, {
    name: 'vm',
    disks: [{ target: 'vda', format: 'qcow2', type: 'file', xml: diskIn(one.imagesDir) }],
    writers: [guestWriter('vda', { offset: region.offset, length: 1n << 20n }, { rate: 100 })],
  });
  pair = new FerryPair(one, two, guest, await mkdtemp(join(tmpdir(), 'bf-state-')), lockedIn);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await (pair ?? { stop: () => Promise.all(hosts.map((host) => host.stop())) }).stop();
});

/** base.qcow2 is raw in LUKS, whatever its name says; top.qcow2 is qcow2 with LUKS inside. */
async function makeLocked(directory: string) {
  const { top, size, region } = await makeChain(directory, ['plain'], {
    size: 32n << 20n,
    files: { plain: { '/mark': PLAIN[0] ?? '' } },
  });
  // In plain it would be found.
  await run(['grep', '-qaF', '-e', PLAIN[0] ?? '', top.path]);
  const [base, over] = ['base.qcow2', 'top.qcow2'].map((name) => join(directory, name));
  const key = ['--object', OBJECT];
  const raw = ['-O', 'luks', '-o', 'key-secret=key,iter-time=10'];
  await makeEncrypted('convert', ...key, ...raw, top.path, base ?? '');
  const inside = ['-f', 'qcow2', '-o', 'encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10'];
  const backing = ['-u', '-b', base ?? '', '-F', 'luks'];
  await makeEncrypted('create', '-q', ...key, ...inside, ...backing, over ?? '', String(size));
  await run(['rm', top.path]);
  return region;
}

/** Headers do not name secrets: libvirt is told of both images. */
function diskIn(directory: string): string {
  const base = `<format type='raw'/><source file='${join(directory, 'base.qcow2')}'>${KEY}</source><backingStore/>`;
  return `<source file='${join(directory, 'top.qcow2')}'>${KEY}</source><backingStore type='file'>${base}</backingStore>`;
}

function lockedIn(directory: string) {
  const file = (name: string) => ({ driver: 'file', filename: join(directory, name) });
  const shared = { 'read-only': true, 'force-share': true };
  const base = { driver: 'luks', 'key-secret': 'key', file: file('base.qcow2'), ...shared };
  const encrypt = { format: 'luks', 'key-secret': 'key' };
  const node = { driver: 'qcow2', encrypt, file: file('top.qcow2'), backing: base, ...shared };
  return { node, objects: [OBJECT] };
}

async function expectNothingPlain(what: string): Promise<void> {
  for (const { imagesDir } of [pair.home, pair.away]) {
    for (const word of PLAIN) {
      const { stdout } = await run(['grep', '-rlaF', '-e', word, imagesDir], { accept: [0, 1] });
      assert.equal(stdout.trim(), '', `${what}: ${word}`);
    }
  }
}

/** What takes the guest's writes while it crosses is there on both sides, and says that it is in LUKS. */
async function expectLockedOverlays(): Promise<void> {
  for (const { imagesDir } of [pair.home, pair.away]) {
    const overlays = (await readdir(imagesDir)).filter((name) => name.endsWith('.overlay'));
    assert.equal(overlays.length, 1);
    const { stdout } = await run(['qemu-img', 'info', '-U', join(imagesDir, overlays[0] ?? '')]);
    assert.match(stdout, /encrypted: yes/);
  }
}

/** It runs away, on images with the secret in both definitions; then away is home, and has nothing but them. */
async function crossed(what: string): Promise<void> {
  await pair.expectWhole(what, 'away');
  await expectNothingPlain(what);
  for (const flags of [[], ['--inactive']]) {
    const disk = DomainXml.parse(await pair.away.virsh('dumpxml', 'vm', ...flags)).disk('vda');
    const keys = disk?.chain.map(({ source }) => source.encryption?.includes(SECRET));
    assert.deepEqual(keys, [true, true], `${what}: the secrets ${flags.join()}`);
  }
  await pair.turn();
}

async function refused(argv: readonly string[] = []): Promise<{ message: string; hint: string | null }> {
  const { error, exitCode } = await pair.migrate(argv).result();
  assert.equal(error?.code, 'encrypted', error?.message);
  assert.equal(exitCode, 3);
  assert.deepEqual(await readdir(pair.away.imagesDir), []);
  return error;
}

it('refused before anything is touched where the secret is missing, and where it is another one', async () => {
  const missing = await refused();
  assert.match(missing.message, new RegExp(`destination.*${SECRET}`));
  assert.match(missing.hint ?? '', /secret-define/);
  await defineSecret(pair.away, SECRET, 'another');
  assert.match((await refused()).message, /does not open/);
  await defineSecret(pair.away, SECRET, PASSPHRASE);
}, 120_000);

it('while the guest writes, killed in the copying: what is there is in LUKS, and resume brings it over', async () => {
  const first = pair.migrate([], { at: 'step-done', name: 'copy' });
  await first.diedAfter('copy');
  for (const code of ['luks-pause', 'luks-in-transit']) await first.warning(code);
  await expectNothingPlain('killed in the copying');
  assert.equal((await pair.resume().result()).outcome, 'migrated');
  await crossed('killed in the copying');
}, 180_000);

it('killed in the crossing, with both overlays full: they are in LUKS; aborted it is home, asked again it crosses', async () => {
  await pair.migrate([], { at: 'step-done', name: 'cross:performed' }).diedAfter('cross:performed');
  await expectLockedOverlays();
  await expectNothingPlain('killed in the crossing');
  const back = await pair.abort().result();
  assert.equal(back.outcome, 'back', JSON.stringify(back.error));
  await pair.expectWhole('aborted', 'home');
  await pair.migrate([], { at: 'step-done', name: 'cross:recorded' }).diedAfter('cross:recorded');
  await expectNothingPlain('killed as it arrived');
  assert.equal((await pair.resume('away').result()).outcome, 'migrated');
  await crossed('killed as it arrived');
}, 240_000);

it('a domain that is off, which then starts there with all that it wrote', async () => {
  await pair.guest.stop();
  const said = await pair.guest.acknowledged();
  const result = await pair.migrate(['--offline']).result();
  assert.equal(result.outcome, 'migrated', JSON.stringify(result.error));
  await expectNothingPlain('offline');
  const { lost, checked } = await verifyAcknowledged(lockedIn(pair.away.imagesDir), said);
  assert.ok(checked > 0);
  assert.deepEqual(lostOnDisk(lost), []);
  await pair.away.virsh('start', '--paused', 'vm');
  await pair.away.virsh('destroy', 'vm');
}, 120_000);
