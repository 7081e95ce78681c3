// After the pivot a definition says where the disk is now, and is otherwise what it was: with everything that a
// definition can hold, in both ways of starting the copy.
import { copyFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';
import {
  agree,
  apartFrom,
  type LibvirtHost,
  Mover,
  readTexts,
  removeIdle,
  run,
  startIdle,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { redefine } from './redefine.ts';

let host: LibvirtHost;
let mover: Mover;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
  await copyFile('/usr/share/seabios/bios-256k.bin', at('firmware'));
});

afterAll(async () => {
  await mover.close();
  await host.stop();
});

async function create(name: string, ...more: readonly string[]): Promise<string> {
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', ...more, at(name), '16M']);
  return at(name);
}

const cache = "<metadata_cache><max_size unit='bytes'>1048576</max_size></metadata_cache>";

/** A domain with one of everything that a careless edit loses. */
async function startRich(name: string): Promise<void> {
  const disk = `<disk type='file' device='disk' snapshot='external'>
      <driver name='qemu' type='qcow2' cache='none' error_policy='stop' io='native' discard='unmap' detect_zeroes='on'>${cache}</driver>
      <source file='${await create(`${name}.qcow2`)}' startupPolicy='optional'/>
      <target dev='vda' bus='virtio'/>
      <iotune><write_bytes_sec>104857600</write_bytes_sec></iotune>
      <serial>AB CD</serial>
      <boot order='2'/>
      <alias name='ua-disk'/>
      <address type='pci' domain='0x0000' bus='0x02' slot='0x00' function='0x0'/>
    </disk>`;
  const other = await create(`${name}-other.qcow2`);
  await startIdle(host, {
    name,
    disks: [disk, { target: 'vdb', path: other, format: 'qcow2' }],
    extraXml: `<title>A "title" &amp; more</title>
  <metadata><app:note xmlns:app='urn:app'>kept <app:b/></app:note></metadata>
  <on_crash>preserve</on_crash>`,
    extraDevices: `<graphics type='vnc' passwd='se&amp;cret'><listen type='socket'/></graphics>
    <video><model type='vga' vram='16384' heads='1'/></video>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>`,
    firmware: { code: at('firmware'), nvram: at(`${name}.nvram`) },
  });
  await host.virsh('autostart', name);
}

describe.each([
  ['with the transient-job flag', 'flagged', false],
  ['with the definition kept aside', 'aside', true],
])('%s', (_, name, undefine) => {
  test('everything but the place of the disk is kept: secrets, firmware, autostart, driver, foreign elements', async () => {
    await startRich(name);
    const before = await readTexts(host, name);
    const nvram = await stat(at(`${name}.nvram`));
    const ask = { domain: name, disk: 'vda', undefine };
    expect((await mover.move({ ...ask, destination: at(`${name}-copy.qcow2`) })).ending.kind).toBe('moved');
    const after = await readTexts(host, name);
    expect(apartFrom('vda', after)).toEqual(apartFrom('vda', before));
    expect(agree('vda', after)).toBe(true);
    expect(after.persistent).toContain(`passwd='se&amp;cret'`);
    expect(after.autostart).toBe(true);
    expect(await stat(at(`${name}.nvram`))).toMatchObject({ ino: nvram.ino, mtimeMs: nvram.mtimeMs });
    for (const text of [after.live, after.persistent ?? '']) {
      const { source, driver } = DomainXml.parse(text).disk('vda') ?? {};
      expect(source).toMatchObject({ path: at(`${name}-copy.qcow2`), startupPolicy: 'optional' });
      expect(driver).toMatchObject({ cache: 'none', io: 'native', discard: 'unmap', detectZeroes: 'on' });
      expect(driver?.metadataCache).toContain('1048576');
    }
  });

  test('to a format that has no such cache, without it', async () => {
    const ask = { domain: name, disk: 'vda', undefine, format: 'raw', destination: at(`${name}-copy.raw`) };
    expect((await mover.move(ask)).ending.kind).toBe('moved');
    const after = await readTexts(host, name);
    expect(agree('vda', after)).toBe(true);
    expect(`${after.live}${after.persistent}`).not.toContain('metadata_cache');
  });

  test('abort leaves all of it, and the same command then moves the disk', async () => {
    const before = await readTexts(host, name);
    const ask = { domain: name, disk: 'vdb', undefine, destination: at(`${name}-other-copy.qcow2`) };
    expect((await mover.move({ ...ask, hold: true })).ending).toEqual({ kind: 'ready' });
    expect((await mover.change(name, { goal: 'abort' })).ending.kind).toBe('back');
    expect(await readTexts(host, name)).toEqual(before);
    await expect(stat(ask.destination)).rejects.toThrow('ENOENT');
    expect((await mover.move(ask)).ending.kind).toBe('moved');
    expect(agree('vdb', await readTexts(host, name))).toBe(true);
  });

  test('the next boot finds its disk', async () => {
    await host.virsh('destroy', name);
    await host.virsh('start', '--paused', name);
    expect(await host.virsh('domblklist', name)).toContain(at(`${name}-copy.raw`));
    await removeIdle(host, name);
  });

  test('a definition that names another disk is left as it is, and spoken of', async () => {
    const twin = `${name}-twin`;
    await startIdle(host, {
      name: twin,
      disks: [{ target: 'vda', path: await create(`${twin}.qcow2`), format: 'qcow2' }],
    });
    const other = await create(`${twin}-planned.qcow2`);
    const planned = (await host.virsh('dumpxml', '--inactive', twin)).replace(at(`${twin}.qcow2`), other);
    await writeFile(join(host.directory, 'guest', 'planned.xml'), planned);
    await host.virsh('define', join(host.directory, 'guest', 'planned.xml'));
    const before = await readTexts(host, twin);
    const ask = { domain: twin, disk: 'vda', undefine, destination: at(`${twin}-copy.qcow2`) };
    const { ending, warnings } = await mover.move(ask);
    expect(ending.kind).toBe('moved');
    expect(warnings.map(({ code }) => code)).toContain('definition-differs');
    const after = await readTexts(host, twin);
    expect(after.persistent).toBe(before.persistent);
    expect(DomainXml.parse(after.live).disk('vda')?.source).toMatchObject({ path: ask.destination });
    await removeIdle(host, twin);
  });

  test('a disk that only the running domain has is moved, and no definition invented for it', async () => {
    const bare = `${name}-bare`;
    await startIdle(host, {
      name: bare,
      disks: [{ target: 'vda', path: await create(`${bare}.qcow2`), format: 'qcow2' }],
    });
    await host.virsh('detach-disk', bare, 'vda', '--config');
    const before = await readTexts(host, bare);
    const ask = { domain: bare, disk: 'vda', undefine, destination: at(`${bare}-copy.qcow2`) };
    expect((await mover.move(ask)).ending.kind).toBe('moved');
    expect((await readTexts(host, bare)).persistent).toBe(before.persistent);
    await removeIdle(host, bare);
  });
});

test('two disks that are given other images at one moment both get theirs', async () => {
  const [one, two] = [await create('one.qcow2'), await create('two.qcow2')];
  const disks = [
    { target: 'vda', path: one, format: 'qcow2' },
    { target: 'vdb', path: two, format: 'qcow2' },
  ] as const;
  await startIdle(host, { name: 'both', disks, as: 'off' });
  const { context } = mover;
  const domain = await (await context.link.connection()).lookupDomainByName('both');
  const on = (disk: string, path: string) => {
    return [
      { disk, image: { source: { kind: 'file', path }, format: 'qcow2' }, backing: undefined },
    ] as const;
  };
  const { promise: waits, resolve: waitsNow } = Promise.withResolvers<void>();
  const spawn = (...args: Parameters<Host['spawn']>) => {
    waitsNow();
    return context.host?.spawn(...args);
  };
  const tools = Object.create(context.host ?? null, { spawn: { value: spawn } });
  let second: Promise<void> | undefined;
  const { name, uuid } = domain;
  // The other comes when this one has read what it is about to change.
  const getXmlDesc = async (flags?: number) => {
    const text = await domain.getXmlDesc(flags);
    second = redefine({ ...context, host: tools }, domain, on('vdb', at('two.new')));
    await Promise.race([second, waits]);
    return text;
  };
  await redefine(context, { name, uuid, getXmlDesc }, on('vda', at('one.new')));
  await second;
  const definition = DomainXml.parse(await host.virsh('dumpxml', '--inactive', 'both'));
  expect(definition.disks().map(({ source }) => source)).toMatchObject([
    { path: at('one.new') },
    { path: at('two.new') },
  ]);
  await removeIdle(host, 'both');
});
