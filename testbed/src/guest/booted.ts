// The tiny guest as it is when it has booted, saved once for all: other guests begin there. To boot takes an emulated
// processor two seconds, to begin there 0.4 (measured, with one disk).
import { createHash } from 'node:crypto';
import { copyFile, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LibvirtHost, startLibvirtHost } from '../libvirt-host/host.ts';
import { until } from '../process/until.ts';
import { builtGuest, provide, provideBoot } from './built.ts';
import { domainXml } from './domain-xml.ts';

/** What every such guest's machine has. Disks and controllers are more, and the guest finds them when it goes on. */
const machine = { name: 'booted', disks: [], parameters: ['bf.wait'] };

const turns = new WeakMap<LibvirtHost, Promise<unknown>>();

/**
 * Starts a domain of this definition, with its UUID, as a machine that has booted already: its memory knows nothing of any
 * disk. It reads its kernel parameters where QEMU has them, and boots with them when it is reset or started again.
 * Transient, unless it is defined already.
 * @throws {RunError} when libvirt refuses
 */
export async function startBooted(host: LibvirtHost, xml: string): Promise<void> {
  const file = await provide(host, await bootedGuest());
  // The file tells of one domain at a time.
  const turn = (turns.get(host) ?? Promise.resolve()).then(async () => {
    await describe(file, xml);
    await host.virsh('restore', file);
  });
  turns.set(
    host,
    turn.catch(() => {}),
  );
  await turn;
}

let saved: Promise<string> | undefined;

/** The name of the saved guest's file below the built guest's; made if it is not there. */
function bootedGuest(): Promise<string> {
  saved ??= (async () => {
    const name = `booted-${await identity()}`;
    const there = await readdir(builtGuest);
    if (!there.includes(name)) {
      await save(name);
      for (const old of there.filter((each) => each.startsWith('booted-')))
        await rm(join(builtGuest, old), { force: true });
    }
    return name;
  })();
  return saved;
}

/**
 * Another guest, QEMU, libvirt or definition gives another state; and its clock counts this machine's ticks, which another
 * one may have at another speed.
 */
async function identity(): Promise<string> {
  const programs = ['/usr/bin/qemu-system-x86_64', '/usr/sbin/libvirtd'];
  const parts = await Promise.all([
    readFile(join(builtGuest, 'key'), 'utf8'),
    readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
    ...programs.map(async (path) => String((await stat(path)).mtimeMs)),
  ]);
  parts.push(domainXml({ ...machine, kernel: '', initrd: '', serialLog: '' }));
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16);
}

/** Boots it and saves it. Several processes may do so at once: each file is whole when it gets its name. */
async function save(name: string): Promise<void> {
  await using host = await startLibvirtHost({ name: 'bf-booted' });
  const serialLog = join(host.directory, 'log/booted.log');
  const definition = join(host.directory, 'guest/booted.xml');
  await writeFile(definition, domainXml({ ...machine, ...(await provideBoot(host)), serialLog }));
  await host.virsh('create', definition);
  await until('a guest that has booted', async () => {
    return /^@guest waits/m.test(await readFile(serialLog, 'latin1')) || undefined;
  });
  const file = join(host.directory, 'guest/booted');
  await host.virsh('save', machine.name, file);
  const incoming = join(builtGuest, `incoming-${process.pid}`);
  await copyFile(file, incoming);
  await rename(incoming, join(builtGuest, name));
}

/**
 * Writes another definition over that in a saved domain's file. libvirt leaves 64 KiB for that: virQEMUSaveHeader and
 * virQEMUSaveDataNew in src/qemu/qemu_saveimage.[ch]. The cookie behind it describes the processor that it had.
 */
async function describe(file: string, xml: string): Promise<void> {
  await using handle = await open(file, 'r+');
  const { buffer: header } = await handle.read(Buffer.alloc(HEADER), 0, HEADER, 0);
  const room = header.readUInt32LE(LENGTH_AT);
  const definition = Buffer.alloc(room);
  // One NUL at least ends it.
  if (Buffer.byteLength(xml) >= room) throw new Error(`a definition longer than ${room} bytes`);
  definition.write(xml);
  header.writeUInt32LE(0, COOKIE_AT);
  await handle.write(header, 0, HEADER, 0);
  await handle.write(definition, 0, room, HEADER);
}

const HEADER = 92;
const LENGTH_AT = 20;
const COOKIE_AT = 32;
