// A running domain with disks in LUKS, a chain in qcow2 (vda) and a raw image (vdb), to make backups and images of; and what
// must be true of these: opened by the secret of the disks, and nothing of them in plain.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chainOf, imagesOf } from '@blockferry/engine';
import { DomainXml } from '@blockferry/libvirt';
import { vi } from 'vitest';
import { type Guest, guestWriter, startGuest } from '../guest/guest.ts';
import type { Acknowledged } from '../guest/report.ts';
import type { VerifiedImage } from '../guest/verify.ts';
import { makeChain } from '../images/chain.ts';
import { defineSecret, makeEncrypted, quickKeys } from '../images/encrypted.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';
import { pointsIn } from './backed-up.ts';
import { startHarbour } from './berth.ts';
import { type Ferry, type Halts, startFerry } from './ferry.ts';

export const SECRET = '0aa7a40c-6d49-4c1b-9f51-7a1a6f3d1c55';
export const PASSPHRASE = 'open sesame';
const OBJECT = `secret,id=key,data=${PASSPHRASE}`;
const KEY = `<encryption format='luks'><secret type='passphrase' uuid='${SECRET}'/></encryption>`;
const IN_QCOW2 = 'encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10';
/** In the disks' file systems, and in every block that the guest writes (see guest/blocks.ts). */
const PLAIN = ['never-to-be-read-in-plain', 'BLBFERW1'];

export type Disk = 'vda' | 'vdb';

/** By disk: what the guest had reported. */
export type Reported = Readonly<Record<Disk, Acknowledged>>;

export class LuksBerth {
  readonly host: LibvirtHost;
  readonly guest: Guest;

  private constructor(host: LibvirtHost, guest: Guest) {
    this.host = host;
    this.guest = guest;
  }

  /** @param directories to be made among the host's images, besides that of the disks */
  static async start(...directories: readonly string[]): Promise<LuksBerth> {
    const host = await startHarbour();
    vi.stubEnv('PATH', `${await quickKeys(host)}:${process.env.PATH}`);
    await defineSecret(host, SECRET, PASSPHRASE);
    const { top, size, region } = await makeChain(host.imagesDir, ['plain'], {
      size: 32n << 20n,
      files: { plain: { '/mark': PLAIN[0] ?? '' } },
    });
    const at = (...names: readonly string[]) => join(host.imagesDir, ...names);
    // In plain it would be found.
    await run(['grep', '-qaF', '-e', PLAIN[0] ?? '', top.path]);
    await run(['mkdir', stateOf(host), ...['disks', ...directories].map((name) => at(name))]);
    await makeDisks(top.path, size, at('disks'));
    await run(['rm', top.path]);
    const own = { offset: region.offset, length: 1n << 20n };
    const guest = await startGuest(host, {
      name: 'vm',
      disks: [
        { target: 'vda', format: 'qcow2', type: 'file', xml: chainXml(at('disks')) },
        {
          target: 'vdb',
          format: 'raw',
          type: 'file',
          xml: `<source file='${at('disks', 'raw')}'>${KEY}</source>`,
        },
      ],
      writers: ['vda', 'vdb'].map((disk) => guestWriter(disk, own, { rate: 50 })),
    });
    return new LuksBerth(host, guest);
  }

  async stop(): Promise<void> {
    vi.unstubAllEnvs();
    await this.host.stop();
  }

  at(...names: readonly string[]): string {
    return join(this.host.imagesDir, ...names);
  }

  ferry(argv: readonly string[], halt?: Halts): Ferry {
    return startFerry(argv, {
      uri: this.host.uri,
      stateDirectory: stateOf(this.host),
      ...(halt && { halt }),
    });
  }

  async acknowledged(): Promise<Reported> {
    return { vda: await this.guest.acknowledged('vda'), vdb: await this.guest.acknowledged('vdb') };
  }

  /** Nor is the passphrase: on any image, in what is beside them, in notes of ours. */
  async expectNothingPlain(): Promise<void> {
    await expectNothingPlain(this.host.imagesDir, stateOf(this.host));
  }

  /** The domain is on its own images, with nothing of ours in it or beside them. */
  async expectUntouched(): Promise<void> {
    assert.deepEqual((await readdir(this.at('disks'))).toSorted(), ['base', 'raw', 'top']);
    const xml = await this.host.virsh('dumpxml', 'vm');
    assert.ok(!xml.includes('urn:blockferry'));
    const { source } = DomainXml.parse(xml).disk('vda') ?? {};
    assert.equal(source?.kind === 'file' && source.path, this.at('disks', 'top'));
  }
}

const stateOf = (host: LibvirtHost) => join(host.directory, 'state');

async function makeDisks(plain: string, size: bigint, directory: string): Promise<void> {
  const [base, top, raw] = ['base', 'top', 'raw'].map((name) => join(directory, name));
  const object = ['--object', OBJECT];
  const inLuks = ['-O', 'luks', '-o', 'key-secret=key,iter-time=10'];
  await makeEncrypted('convert', ...object, '-O', 'qcow2', '-o', IN_QCOW2, plain, base ?? '');
  await makeEncrypted('convert', ...object, ...inLuks, plain, raw ?? '');
  const over = ['-u', '-b', base ?? '', '-F', 'qcow2', top ?? '', String(size)];
  await makeEncrypted('create', '-q', ...object, '-f', 'qcow2', '-o', IN_QCOW2, ...over);
}

/** Headers do not name secrets: libvirt is told of every image. */
function chainXml(directory: string): string {
  const base = `<format type='qcow2'/><source file='${join(directory, 'base')}'>${KEY}</source><backingStore/>`;
  return `<source file='${join(directory, 'top')}'>${KEY}</source><backingStore type='file'>${base}</backingStore>`;
}

/** Top first, as the secret opens it. */
export function locked([path = '', ...below]: readonly string[], format: string): VerifiedImage {
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

/** A disk as a point of a directory has it, over all the points that it stands on; each image is in LUKS by the secret. */
export async function lockedAt(directory: string, point: string, disk: Disk): Promise<VerifiedImage> {
  const found = chainOf(await pointsIn(directory), point);
  if (found.kind !== 'whole') throw new Error(`${point}: ${found.why}`);
  const images = imagesOf(directory, found.chain, disk);
  assert.ok(images.every(({ secret }) => secret === SECRET));
  const paths = images.map(({ location }) => (location.kind === 'file' ? location.path : ''));
  for (const path of paths) await headerOf(path);
  return locked(paths, images[0].format === 'luks' ? 'raw' : 'qcow2');
}

/** The UUID of its LUKS header: nobody makes the same one twice. */
export async function headerOf(path: string): Promise<string> {
  const { stdout } = await run(['qemu-img', 'info', '-U', '--output=json', path]);
  const uuid = /"uuid": "([^"]+)"/.exec(stdout)?.[1];
  assert.ok(uuid, `${path} has no LUKS header: ${stdout}`);
  return uuid;
}

export async function expectNothingPlain(...places: readonly string[]): Promise<void> {
  for (const what of [...PLAIN, PASSPHRASE]) {
    const { stdout } = await run(['grep', '-rlaF', '-e', what, ...places], { accept: [0, 1] });
    assert.equal(stdout.trim(), '', what);
  }
}
