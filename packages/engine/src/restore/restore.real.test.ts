// Restoring to where things were: room, names, media that are not there, the variables of the firmware.
import { randomUUID } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import {
  backUp,
  type DiskSpec,
  type IdleSpec,
  type LibvirtHost,
  Mover,
  removeIdle,
  run,
  smallFileSystem,
  startIdle,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { findTrials, preflightRestore, type Refusal, type RestoreRequest, restore } from '../index.ts';
import { trialOf } from './trial.ts';

let host: LibvirtHost;
let mover: Mover;
let directory: string;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
});
afterAll(async () => {
  await mover.close();
  await host.stop();
});
beforeEach(async () => {
  directory = at('backup');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('base'), '64M']);
});
afterEach(async () => {
  for (const name of ['vm', 'other']) await removeIdle(host, name);
  await run(['sh', '-c', 'rm -rf "$1"/* "$1"/.[!.]*', 'sh', host.imagesDir]);
});

const start = (disks: readonly DiskSpec[], as: 'off') => startIdle(host, { name: 'vm', disks, as });
const make = () => backUp(mover.context, { domain: 'vm', directory });
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'not refused',
    ({ code }: Refusal) => code,
  );
const restored = (request: Partial<RestoreRequest>) =>
  restore(
    mover.context,
    { directory, as: { kind: 'original' }, ...request },
    { signal: AbortSignal.timeout(60_000), report: () => {} },
  );

test('whatever the clock says, a backup is the newest; a medium that is not there is told of', async () => {
  const cdrom = `<disk type='file' device='cdrom'><source file='${at('cd.iso')}'/><target dev='sda' bus='sata'/></disk>`;
  await writeFile(at('cd.iso'), '');
  await startIdle(host, {
    name: 'vm',
    disks: [{ target: 'vdb', path: at('base'), format: 'qcow2' }, cdrom],
    as: 'off',
  });
  await run(['mkdir', '-p', join(directory, '2199-12-31T23-59-59Z-full')]);
  const { manifest } = await make();
  expect(manifest?.point).toBe('2200-01-01T00-00-00Z-full');
  await run(['rm', at('cd.iso')]);
  const { warnings } = await preflightRestore(mover.context, {
    directory,
    as: { kind: 'new', name: 'other' },
  });
  expect(warnings.map(({ code }) => code)).toEqual(['medium-missing']);
});

test('each disk is restored to where it was, if there is room for that one', async () => {
  await using small = await smallFileSystem(host, { bytes: 40n << 20n, type: 'tmpfs', name: 'small' });
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', join(small.directory, 'boot'), '16M']);
  await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 3 0 50M', at('base')]);
  const boot = { target: 'vda', path: join(small.directory, 'boot'), format: 'qcow2' } as const;
  await start([boot, { target: 'vdb', path: at('base'), format: 'qcow2' }], 'off');
  await make();
  await removeIdle(host, 'vm');
  const { plan } = await restored({});
  expect(plan.disks.map(({ path }) => dirname(path))).toEqual([small.directory, host.imagesDir]);
  await removeIdle(host, 'vm');
  expect(await codeOf(restored({ to: small.directory }))).toBe('destination-too-small');
});

test('the variables of the firmware come along', async () => {
  await writeFile(at('code.fd'), Buffer.alloc(131_072));
  await writeFile(at('vars.fd'), Buffer.alloc(131_072, 5));
  const firmware = { code: at('code.fd'), nvram: at('vars.fd') };
  await startIdle(host, {
    name: 'vm',
    disks: [{ target: 'vda', path: at('base'), format: 'qcow2' }],
    firmware,
    as: 'off',
  });
  await make();
  const { plan } = await restored({ as: { kind: 'new', name: 'other' } });
  expect(plan.nvram).toBe(at('other_VARS.fd'));
  await run(['cmp', at('vars.fd'), at('other_VARS.fd')]);
  expect(await host.virsh('dumpxml', 'other')).toContain(at('other_VARS.fd'));
});

test('another domain runs beside the one that was backed up; a socket that both would have is told of', async () => {
  const extraDevices = `<graphics type='vnc'><listen type='socket' socket='${at('open/display')}'/></graphics>
    <channel type='unix'><source mode='bind' path='${at('channel')}'/><target type='virtio' name='app'/></channel>
    <serial type='unix'><source mode='bind' path='${at('serial')}'/><target port='0'/></serial>`;
  const disks = [{ target: 'vda', path: at('base'), format: 'qcow2' }] as const;
  await run(['install', '-d', '-m', '777', at('open')]);
  await startIdle(host, { name: 'vm', disks, extraDevices, as: 'persistent' });
  await make();
  const as = { kind: 'new', name: 'other' } as const;
  const { warnings } = await preflightRestore(mover.context, { directory, as });
  expect(warnings).toEqual([
    { code: 'end-shared', message: expect.stringMatching(`^${at('serial')} .* virsh edit other$`) },
  ]);
  await restored({ as });
  await host.virsh('start', 'other');
  expect((await host.virsh('domdisplay', 'other')).trim()).not.toBe(
    (await host.virsh('domdisplay', 'vm')).trim(),
  );
});

test('a disk that the backup does not hold stays where it is by now; another domain gets none, nor a LUN', async () => {
  const disk = (target: string, name: string) => ({ target, path: at(name), format: 'qcow2' }) as const;
  const lun = `<disk type='block' device='lun'><source dev='/dev/lun'/><target dev='sda' bus='scsi'/></disk>`;
  const extraXml = `<uuid>5c1f7a52-0a3c-4f0e-9d8e-6f6f2f7b1c11</uuid><maxMemory slots='1' unit='MiB'>512</maxMemory>
    <cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/></numa></cpu>`;
  const extraDevices = `<memory model='nvdimm'><source><path>${at('nvdimm')}</path></source>
    <target><size unit='MiB'>64</size><node>0</node><label><size unit='KiB'>128</size></label></target></memory>`;
  const define = (disks: IdleSpec['disks']) =>
    startIdle(host, { name: 'vm', disks, extraXml, extraDevices, as: 'off' });
  await define([disk('vda', 'base'), disk('vdb', 'then'), lun]);
  await backUp(mover.context, { domain: 'vm', directory, disks: ['vda'] });
  await restored({ as: { kind: 'new', name: 'other' } });
  expect(await host.virsh('domblklist', 'other')).not.toMatch(/vdb|sda/);
  expect(await host.virsh('dumpxml', 'other')).not.toContain('nvdimm');
  await define([disk('vda', 'base'), disk('vdb', 'now'), disk('vdc', 'new')]);
  const { warnings } = await preflightRestore(mover.context, { directory, as: { kind: 'over' } });
  expect(warnings.filter(({ code }) => code === 'disk-left-out').map(({ message }) => message)).toEqual([
    `the backup holds no vdb: it stays on ${at('now')}`,
    'the backup holds no sda: it gets it again, which it had then, with /dev/lun',
    `vm has vdc (${at('new')}) now, and had it not then: it is taken out, and the image stays`,
  ]);
  await restored({ as: { kind: 'over' } });
  expect(await host.virsh('domblklist', 'vm')).toContain(at('now'));
});

test('what libvirt has against the definition is told before anything is copied, and refused if it takes it nowise', async () => {
  const emulator = at('qemu');
  await run(['ln', '-s', '/usr/bin/qemu-system-x86_64', emulator]);
  const disks = [{ target: 'vda', path: at('base'), format: 'qcow2' }] as const;
  const extraDevices = `<emulator>${emulator}</emulator>`;
  const extraXml = '<memoryBacking><hugepages/></memoryBacking>';
  await startIdle(host, { name: 'vm', disks, extraXml, extraDevices, as: 'off' });
  await make();
  // It is defined all the same: huge pages are there, or are not, when it starts.
  const request = { directory, as: { kind: 'new', name: 'other' } } as const;
  expect((await preflightRestore(mover.context, request)).warnings).toMatchObject([{ code: 'cannot-start' }]);
  await restored(request);
  await removeIdle(host, 'other');
  // As if blockferry had died when libvirt had answered.
  const definition = DomainXml.parse(await host.virsh('dumpxml', '--inactive', 'vm'));
  const { name, uuid } = trialOf('0123abcd');
  definition.becomeAnother(name, uuid);
  const lookalike = DomainXml.parse(definition.toString());
  lookalike.becomeAnother('blockferry-web', randomUUID());
  for (const one of [definition, lookalike]) {
    await writeFile(at('trial.xml'), one.toString());
    await host.virsh('define', at('trial.xml'));
  }
  const connection = await mover.context.link.connection();
  expect((await findTrials(connection)).map((one) => one.name)).toEqual([name]);
  await run(['rm', at('trial.xml')]);
  await restored(request);
  expect((await host.virsh('list', '--all', '--name')).trim().split('\n').sort()).toEqual([
    'blockferry-web',
    'other',
    'vm',
  ]);
  await removeIdle(host, 'blockferry-web');
  await removeIdle(host, 'other');
  await run(['rm', emulator]);
  const before = await readdir(host.imagesDir);
  expect(await codeOf(restored({ as: { kind: 'new', name: 'another' } }))).toBe('definition-refused');
  expect(await readdir(host.imagesDir)).toEqual(before);
  expect((await host.virsh('list', '--all', '--name')).trim()).toBe('vm');
  for (const name of ['.', 'n'.repeat(240)]) {
    expect(await codeOf(restored({ as: { kind: 'new', name } }))).toBe('bad-name');
  }
});
