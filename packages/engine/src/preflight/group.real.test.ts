// Several disks as one: what is left out, and what refuses the whole, with everything left exactly as it was.
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type AskGroup,
  footprint,
  type LibvirtHost,
  loopDevice,
  Mover,
  run,
  type SmallFileSystem,
  smallFileSystem,
  startIdle,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Refusal } from '../model/errors.ts';

const MEBIBYTE = 1n << 20n;

let host: LibvirtHost;
let mover: Mover;
let small: SmallFileSystem;
let parted: string;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
  small = await smallFileSystem(host, { bytes: 32n * MEBIBYTE });
  for (const name of ['a', 'b', 'other/a']) {
    await mkdir(at('other'), { recursive: true });
    await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at(`${name}.qcow2`), '64M']);
    await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 7 0 16M', at(`${name}.qcow2`)]);
  }
  await run(['truncate', '-s', '16M', at('shared.raw')]);
  await mkdir(at('to'));
  await mkdir(at('also'));
  await symlink(at('to'), at('alias'));
  const qcow2 = (target: string, name: string) =>
    ({ target, path: at(`${name}.qcow2`), format: 'qcow2' }) as const;
  const drive = `<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>`;
  await startIdle(host, { name: 'vm', disks: [qcow2('vda', 'a'), drive, qcow2('vdb', 'b')] });
  await startIdle(host, { name: 'off', disks: [qcow2('vda', 'other/a'), drive], as: 'off' });
  const shared = { target: 'vdb', path: at('shared.raw'), format: 'raw', extraXml: '<shareable/>' } as const;
  // A device of two partitions, each of which would hold a disk, and a second name for it.
  await run(['truncate', '-s', '150M', at('device')]);
  const { device } = await loopDevice(host, at('device'));
  await run(['sh', '-c', 'printf "label: gpt\n,70M\n,70M\n" | sfdisk -q "$1"', 'sh', device]);
  await run(['partx', '-a', device]);
  await symlink(device, at('by-id'));
  parted = device;
  await startIdle(host, { name: 'mixed', disks: [qcow2('vda', 'other/a'), shared], as: 'off' });
});

afterAll(async () => {
  await run(['partx', '-d', parted]);
  await mover.close();
  await small.stop();
  await host.stop();
});

test('every disk is planned, in one group; the CD-ROM drive is left out, and said so', async () => {
  const { disks, leftOut } = await mover.planGroup({ domain: 'vm', disks: { allTo: at('to') }, pause: true });
  expect(disks.map(({ move }) => move.disk)).toEqual(['vda', 'vdb']);
  const [first, second] = disks.map(({ move }) => move);
  expect(first?.group).toEqual({ id: first?.group?.id, disks: ['vda', 'vdb'], pause: true });
  expect(second?.group).toEqual(first?.group);
  expect(disks.map(({ move }) => move.strategy)).toEqual(['layered', 'layered']);
  expect(leftOut).toEqual([{ code: 'left-out', message: 'sda is a CD-ROM drive: it is left out' }]);
});

test('two disks may be on two partitions of one device', async () => {
  const disks = ['vda', 'vdb'].map((disk, at) => ({ disk, destination: `${parted}p${at + 1}` }));
  expect((await mover.planGroup({ domain: 'vm', disks })).disks).toHaveLength(2);
});

test('advice for one disk of several is not to use what moves one alone', async () => {
  const disks = [
    { disk: 'vda', destination: at('to/') },
    { disk: 'vdb', destination: at('b-there.qcow2') },
  ];
  const refused = mover.planGroup({ domain: 'vm', disks, each: { reuseExternal: true } });
  await expect(refused).rejects.toMatchObject({
    code: 'layered-makes-files',
    message: expect.stringContaining('vda: '),
    hint: expect.stringContaining('move vda by itself'),
  });
  const mixed = mover.planGroup({ domain: 'mixed', disks: { allTo: at('to') } });
  await expect(mixed).rejects.toMatchObject({ hint: expect.stringContaining(`=${at('to/')} instead of`) });
});

test('a domain that is off is planned as well', async () => {
  const { disks } = await mover.planGroup({ domain: 'off', disks: { allTo: at('to') } });
  expect(disks.map(({ move }) => move.disk)).toEqual(['vda']);
});

const REFUSALS: Readonly<Record<string, () => AskGroup & { readonly code: string }>> = {
  'two disks that would be the same file, by another name of its directory': () => ({
    code: 'names-clash',
    domain: 'vm',
    disks: [
      { disk: 'vda', destination: at('to/one.qcow2') },
      { disk: 'vdb', destination: at('alias/one.qcow2') },
    ],
  }),
  'two disks that would be one device, by another name of it': () => ({
    code: 'names-clash',
    domain: 'vm',
    disks: [
      { disk: 'vda', destination: parted },
      { disk: 'vdb', destination: at('by-id') },
    ],
  }),
  'two disks of which one would be a part of the device of the other': () => ({
    code: 'names-clash',
    domain: 'vm',
    disks: [
      { disk: 'vda', destination: `${parted}p1` },
      { disk: 'vdb', destination: at('by-id') },
    ],
  }),
  'copies that fit one by one, but not together': () => ({
    code: 'destination-too-small',
    domain: 'vm',
    disks: { allTo: small.directory },
  }),
  'a disk that is named twice, once by its image': () => ({
    code: 'disk-twice',
    domain: 'vm',
    disks: [
      { disk: 'vda', destination: at('to/') },
      { disk: at('a.qcow2'), destination: at('also/') },
    ],
  }),
  'a disk that cannot be moved': () => ({
    code: 'disk-shareable',
    domain: 'mixed',
    disks: { allTo: at('to') },
  }),
  'a drive that was named': () => ({
    code: 'not-a-disk',
    domain: 'vm',
    disks: [
      { disk: 'vda', destination: at('to/') },
      { disk: 'sda', destination: at('to/') },
    ],
  }),
  'strategy mirror': () => ({
    code: 'group-needs-layered',
    domain: 'vm',
    disks: { allTo: at('to') },
    each: { strategy: 'mirror' },
  }),
  'a directory that is not there': () => ({
    code: 'no-such-directory',
    domain: 'vm',
    disks: { allTo: at('nowhere') },
  }),
};

test.each(Object.entries(REFUSALS))('%s: the whole is refused, and nothing is touched', async (_, ask) => {
  const connection = await mover.context.link.connection();
  const look = () => footprint(connection, host.imagesDir);
  const before = await look();
  const { code, ...asked } = ask();
  const refused = mover.planGroup(asked);
  await expect(refused).rejects.toBeInstanceOf(Refusal);
  await expect(refused).rejects.toMatchObject({ code });
  const after = await look();
  // Directories are tried by a file without a name, which changes their times.
  const kept = (files: readonly string[]) => files.filter((file) => !file.startsWith('d'));
  expect({ ...after, files: kept(after.files) }).toEqual({ ...before, files: kept(before.files) });
});
