// Full backups of disks in LUKS, of a chain in qcow2 and of a raw image: nothing of them is ever in plain, they are opened
// by the secret of the disk, and what the guest was told is flushed is in them; also when blockferry is killed half-way.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Refusal, restore } from '@blockferry/engine';
import { DomainXml } from '@blockferry/libvirt';
import { afterAll, beforeAll, it, vi } from 'vitest';
import { type Guest, guestWriter, startGuest } from '../guest/guest.ts';
import { newestBlock, type VerifiedImage, verifyAcknowledged } from '../guest/verify.ts';
import { makeChain } from '../images/chain.ts';
import { defineSecret, makeEncrypted, quickKeys } from '../images/encrypted.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { backUp as backUpHere } from '../move/backups.ts';
import { Mover } from '../move/mover.ts';
import { run } from '../process/run.ts';
import { expectOfInstant, type Instant, pointsIn } from './backed-up.ts';
import { startHarbour } from './berth.ts';
import { ends } from './endings.ts';
import { type Ferry, type Halt, startFerry } from './ferry.ts';

const SECRET = '0aa7a40c-6d49-4c1b-9f51-7a1a6f3d1c55';
const PASSPHRASE = 'open sesame';
const OBJECT = `secret,id=key,data=${PASSPHRASE}`;
const KEY = `<encryption format='luks'><secret type='passphrase' uuid='${SECRET}'/></encryption>`;
const IN_QCOW2 = 'encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10';
/** In the disks' file systems, and in every block that the guest writes (see guest/blocks.ts). */
const PLAIN = ['never-to-be-read-in-plain', 'BLBFERW1'];

let host: LibvirtHost;
let guest: Guest;
let mover: Mover;
const at = (...names: readonly string[]) => join(host.imagesDir, ...names);
const backups = () => at('backups');

beforeAll(async () => {
  host = await startHarbour();
  mover = new Mover(host);
  vi.stubEnv('PATH', `${await quickKeys(host)}:${process.env.PATH}`);
  await defineSecret(host, SECRET, PASSPHRASE);
  const { top, size, region } = await makeChain(host.imagesDir, ['plain'], {
    size: 32n << 20n,
    files: { plain: { '/mark': PLAIN[0] ?? '' } },
  });
  // In plain it would be found.
  await run(['grep', '-qaF', '-e', PLAIN[0] ?? '', top.path]);
  await run(['mkdir', at('disks'), at('restored')]);
  const convert = ['convert', '--object', OBJECT];
  await makeEncrypted(...convert, '-O', 'qcow2', '-o', IN_QCOW2, top.path, at('disks', 'base'));
  await makeEncrypted(
    ...convert,
    '-O',
    'luks',
    '-o',
    'key-secret=key,iter-time=10',
    top.path,
    at('disks', 'raw'),
  );
  const over = ['-u', '-b', at('disks', 'base'), '-F', 'qcow2', at('disks', 'top'), String(size)];
  await makeEncrypted('create', '-q', '--object', OBJECT, '-f', 'qcow2', '-o', IN_QCOW2, ...over);
  const own = { offset: region.offset, length: 1n << 20n };
  guest = await startGuest(host, {
    name: 'vm',
    disks: [
      { target: 'vda', format: 'qcow2', type: 'file', xml: chainXml() },
      {
        target: 'vdb',
        format: 'raw',
        type: 'file',
        xml: `<source file='${at('disks', 'raw')}'>${KEY}</source>`,
      },
    ],
    writers: ['vda', 'vdb'].map((disk) => guestWriter(disk, own, { rate: 50 })),
  });
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await mover?.close();
  await host?.stop();
});

/** Headers do not name secrets: libvirt is told of every image. */
function chainXml(): string {
  const base = `<format type='qcow2'/><source file='${at('disks', 'base')}'>${KEY}</source><backingStore/>`;
  return `<source file='${at('disks', 'top')}'>${KEY}</source><backingStore type='file'>${base}</backingStore>`;
}

function ferry(argv: readonly string[], halt?: Halt): Ferry {
  const stateDirectory = join(host.directory, 'state');
  return startFerry(argv, { uri: host.uri, stateDirectory, ...(halt && { halt }) });
}

const backUp = (halt?: Halt) => ferry(['backup', 'vm', backups(), '--guard', 'off'], halt);

async function refused(work: Promise<unknown>): Promise<Refusal> {
  const error = await work.then(
    () => undefined,
    (why: unknown) => why,
  );
  assert.ok(error instanceof Refusal, String(error));
  assert.equal(error.code, 'encrypted', error.message);
  return error;
}

/** Top first, as the secret opens it. */
function locked([path = '', ...below]: readonly string[], format: string): VerifiedImage {
  const node = (filename: string) =>
    format === 'raw'
      ? { driver: 'luks', 'key-secret': 'key', file: { driver: 'file', filename } }
      : {
          driver: 'qcow2',
          encrypt: { format: 'luks', 'key-secret': 'key' },
          file: { driver: 'file', filename },
        };
  const chain = below.reduceRight<object | null>((backing, each) => ({ ...node(each), backing }), null);
  return { node: { ...node(path), ...(format !== 'raw' && { backing: chain }) }, objects: [OBJECT] };
}

const acknowledged = async () => ({
  vda: await guest.acknowledged('vda'),
  vdb: await guest.acknowledged('vdb'),
});

/** The UUID of its LUKS header: nobody makes the same one twice. */
async function headerOf(path: string): Promise<string> {
  const { stdout } = await run(['qemu-img', 'info', '-U', '--output=json', path]);
  const uuid = /"uuid": "([^"]+)"/.exec(stdout)?.[1];
  assert.ok(uuid, `${path} has no LUKS header: ${stdout}`);
  return uuid;
}

async function expectNothingPlain(directory: string): Promise<void> {
  for (const what of [...PLAIN, PASSPHRASE]) {
    const { stdout } = await run(['grep', '-rlaF', '-e', what, directory], { accept: [0, 1] });
    assert.equal(stdout.trim(), '', what);
  }
}

/** The newest point is whole, of one instant, encrypted by the key of the disks; and the domain is what it was. */
async function expectLocked(before: Awaited<ReturnType<typeof acknowledged>>, what: string): Promise<string> {
  const after = await acknowledged();
  const point = (await pointsIn(backups())).at(-1);
  assert.ok(point?.kind === 'sealed', what);
  const { disks, checkpoint } = point.manifest;
  assert.equal(checkpoint, undefined, what);
  const stored = (path: string) => join(backups(), point.name, path);
  assert.deepEqual(
    disks.map(({ images }) => images),
    [
      ['vda.qcow2', 'vda-1.qcow2'].map((path) => ({ path, format: 'qcow2', secret: SECRET })),
      [{ path: 'vdb.raw', format: 'raw', secret: SECRET }],
    ],
    what,
  );
  await expectNothingPlain(stored(''));
  const copies = ['vda.qcow2', 'vda-1.qcow2', 'vdb.raw'].map(stored);
  const sources = ['top', 'base', 'raw'].map((name) => at('disks', name));
  assert.deepEqual(await Promise.all(copies.map(headerOf)), await Promise.all(sources.map(headerOf)), what);
  const instant = (disk: 'vda' | 'vdb'): Instant => ({ before: before[disk], after: after[disk] });
  const [top = '', base = '', raw = ''] = copies;
  await expectOfInstant(locked([top, base], 'qcow2'), instant('vda'), what);
  await expectOfInstant(locked([raw], 'raw'), instant('vdb'), what);
  await ends(ferry(['backup', 'verify', backups()]), 'done');
  return point.name;
}

async function expectUntouched(): Promise<void> {
  assert.deepEqual((await readdir(at('disks'))).toSorted(), ['base', 'raw', 'top']);
  const live = await host.virsh('dumpxml', 'vm');
  assert.ok(!live.includes('urn:blockferry'));
  const { source } = DomainXml.parse(live).disk('vda') ?? {};
  assert.equal(source?.kind === 'file' && source.path, at('disks', 'top'));
}

it('while the guest writes: every image as it is, no increment can follow, and one image in plain there is none', async () => {
  const before = await acknowledged();
  const made = backUp();
  await ends(made, 'done');
  for (const code of ['luks-pause', 'no-checkpoint']) await made.warning(code);
  await expectLocked(before, 'a full backup');
  await expectUntouched();
  const ask = { domain: 'vm', directory: backups() };
  const flatten = { flatten: true, compressed: false, verify: true };
  assert.match(
    (await refused(backUpHere(mover.context, { ...ask, copying: flatten }))).hint ?? '',
    /without --flatten/,
  );
  assert.match(
    (await refused(backUpHere(mover.context, { ...ask, kind: 'incremental' }))).hint ?? '',
    /full backup/,
  );
  const image = await ends(ferry(['image', 'vm', at('plain-image')]), 'refused', 3);
  assert.equal(image.error?.code, 'encrypted');
  assert.match(image.error.hint ?? '', /a full backup copies/);
  assert.equal((await pointsIn(backups())).length, 1);
  await guest.waitForWrites(20);
}, 300_000);

it('killed when the layers are copied, and again when the guest is back on its images: resume makes it, of the instant of then', async () => {
  const before = await acknowledged();
  await backUp({ at: 'step-done', name: 'copy-layers' }).diedAfter('copy-layers');
  await ferry(['resume', 'vm'], { at: 'step-done', name: 'copy' }).diedAfter('copy');
  await ends(ferry(['resume', 'vm']), 'done');
  await expectLocked(before, 'killed twice');
  await expectUntouched();
}, 300_000);

it('restored only where libvirt has the secret, and the right one; then in LUKS again, as another domain and over it', async () => {
  const said = await acknowledged();
  await guest.waitForWrites(20);
  await guest.stop();
  await ends(backUp(), 'done');
  const after = await acknowledged();
  await expectNothingPlain(backups());
  const restoreHere = () =>
    restore(
      mover.context,
      { directory: backups(), as: { kind: 'new', name: 'other' }, to: at('restored') },
      { signal: AbortSignal.timeout(90_000), report: () => {} },
    );
  await host.virsh('secret-undefine', SECRET);
  const missing = await refused(restoreHere());
  assert.match(missing.message, new RegExp(SECRET));
  assert.match(missing.hint ?? '', /secret-define/);
  await defineSecret(host, SECRET, 'another');
  assert.match((await refused(restoreHere())).message, /does not open/);
  assert.deepEqual(await readdir(at('restored')), []);
  await defineSecret(host, SECRET, PASSPHRASE);
  await restoreHere();
  await expectNothingPlain(at('restored'));
  const places = [
    ['vda', 'qcow2'],
    ['vdb', 'raw'],
  ] as const;
  for (const [disk, format] of places) {
    const image = locked([at('restored', `other-${disk}.${format}`)], format);
    const { checked, lost } = await verifyAcknowledged(image, after[disk]);
    assert.ok(checked > 0);
    assert.deepEqual(lost, []);
    assert.ok((await newestBlock(image, after[disk].plan)) >= said[disk].highestSeq);
  }
  await host.virsh('start', '--paused', 'other');
  await host.virsh('destroy', 'other');
  await ends(ferry(['restore', backups(), '--over']), 'done');
  await expectNothingPlain(at('disks'));
  await guest.start();
  await guest.waitForWrites(20);
}, 300_000);
