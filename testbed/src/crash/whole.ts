// What must be true of a domain after whatever was done to it: one function, used after every crash and fault.
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import { verifyAcknowledged } from '../guest/verify.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';
import type { Berth } from './berth.ts';

export type Whole = {
  /** The image that the guest must be on, now and after its next start. */
  readonly on: string;
  /** All files in the berth's directory besides the chain of `on`: sources that were kept, for one. Default none. */
  readonly besides?: readonly string[];
  /** Default true. With false the domain is off, and is started by the check. */
  readonly running?: boolean;
  /**
   * Default true: the domain is stopped for the look at its images, and must start again from them. With false it is
   * only paused, which leaves its images as complete (QEMU flushes what it has) and takes seconds less.
   */
  readonly restart?: boolean | undefined;
};

/**
 * Proves that the guest writes on one complete chain; that every write it saw flushed is there; that live and
 * persistent definition agree; that no block job, no record, no journal, no note and no file of ours is left; and
 * that the domain starts again from the same disk. Afterwards the guest runs (again), on `berth.disk`.
 *
 * @throws AssertionError saying which of them does not hold, after `what`
 */
export async function expectWhole(berth: Berth, what: string, whole: Whole): Promise<void> {
  try {
    const running = whole.running ?? true;
    if (running) await expectRunning(berth, whole.on);
    const xml = running ? await berth.virsh('dumpxml', '--security-info') : undefined;
    await expectDefinitions(berth, whole.on, xml);
    const restart = whole.restart ?? true;
    if (restart) await berth.guest.stop();
    else await berth.virsh('suspend');
    const chain = await expectChain(whole.on);
    await expectNothingLost(berth, whole.on);
    await expectFiles(berth, [...chain, ...(whole.besides ?? [])]);
    if (restart) await startAgain(berth, xml);
    else await berth.virsh('resume');
    await expectRunning(berth, whole.on);
    berth.disk = whole.on;
  } catch (cause) {
    if (cause instanceof Error) cause.message = `${what}: ${cause.message}`;
    throw cause;
  }
}

async function expectRunning(berth: Berth, on: string): Promise<void> {
  const state = await berth.virsh('domstate');
  assert.equal(state.trim(), 'running', 'the guest runs');
  await berth.guest.waitForWrites(3);
  const disk = DomainXml.parse(await berth.virsh('dumpxml')).disk('vda');
  assert.equal(pathOf(disk?.source), on, 'the live definition names the disk');
  assert.equal(disk?.mirror, undefined, 'no mirror is left');
  assert.deepEqual(await monitor(berth, 'query-block-jobs'), [], 'QEMU has no job left');
  await expectOpen(berth, await chainOf(on));
}

async function expectOpen(berth: Berth, chain: readonly string[]): Promise<void> {
  const open = await openFiles(berth);
  if (!berth.debris) assert.deepEqual(open, chain, 'QEMU has nothing open but the chain');
  for (const path of chain) assert.ok(open.includes(path), `QEMU has ${path} of the chain open`);
}

/** The live XML, if the domain runs, and the persistent one, if it has one. */
async function expectDefinitions(berth: Berth, on: string, live: string | undefined): Promise<void> {
  assert.doesNotMatch(live ?? '', /urn:blockferry/, 'no record is left in the live definition');
  if (!berth.persistent) return;
  const config = await berth.virsh('dumpxml', '--inactive');
  const info = await berth.virsh('dominfo');
  assert.match(info, /Persistent:\s+yes/, 'the domain is persistent');
  assert.match(info, berth.autostart ? /Autostart:\s+enable/ : /Autostart:\s+disable/, 'autostart is kept');
  assert.equal(pathOf(DomainXml.parse(config).disk('vda')?.source), on, 'the next boot uses the right disk');
  assert.doesNotMatch(config, /urn:blockferry/, 'no record is left in the persistent definition');
}

/** Every image of the chain is there and sound. Returns their paths. */
async function expectChain(on: string): Promise<string[]> {
  const paths = await chainOf(on);
  for (const path of paths) {
    // 3: clusters that nothing refers to, as any QEMU leaves them that was killed. Data is not touched by it.
    await run(['qemu-img', 'check', '-q', '-U', '-f', 'qcow2', path], { accept: [0, 3] });
  }
  return paths;
}

async function expectNothingLost(berth: Berth, on: string): Promise<void> {
  const said = await berth.guest.acknowledged();
  assert.deepEqual(said.errors, [], 'the guest never saw an error of its disk');
  const file = { driver: 'file', filename: on };
  const node = { driver: 'qcow2', 'read-only': true, 'force-share': true, file };
  const { checked, lost } = await verifyAcknowledged({ node }, said);
  assert.deepEqual(lost, [], 'every acknowledged write is there');
  assert.ok(checked > 0, 'there was something to lose');
}

async function expectFiles(berth: Berth, paths: readonly string[]): Promise<void> {
  const found = (await berth.files()).map((name) => join(berth.directory, name));
  assert.deepEqual(new Set(found), new Set(paths), 'no file is there that should not be');
  const notes = await readdir(berth.stateDirectory).catch(() => []);
  assert.deepEqual(notes, [], 'no note of the move is left');
}

/** Those on which a check has started a guest again. */
const bootedOn = new WeakSet<LibvirtHost>();

/**
 * The next start, from the persistent definition; a transient domain is created from what it was. The first one on a host
 * boots. Those after it begin where a guest had booted to: the boot itself reads no disk, and QEMU opens the same either way.
 */
async function startAgain(berth: Berth, live: string | undefined): Promise<void> {
  berth.debris = false;
  if (berth.persistent) {
    if (bootedOn.has(berth.host)) return berth.guest.startBooted();
    bootedOn.add(berth.host);
    return berth.guest.start();
  }
  if (live === undefined) throw new Error('a transient domain that is off has nothing to start from');
  const file = join(berth.host.directory, 'guest', `${berth.name}.again.xml`);
  await writeFile(file, live);
  await berth.host.virsh('create', file);
  await berth.guest.waitUntilUp();
}

function pathOf(source: { readonly kind: string; readonly path?: string } | undefined): string | undefined {
  return source?.path;
}

type ImageInfo = { readonly filename: string };

/** Paths of the images of a chain, top first. @throws RunError when one is missing */
export async function chainOf(top: string): Promise<string[]> {
  const argv = ['qemu-img', 'info', '-U', '--backing-chain', '--output=json', '-f', 'qcow2', top];
  const images = JSON.parse((await run(argv)).stdout) as ImageInfo[];
  return images.map(({ filename }) => filename);
}

/** The result of a QMP command. */
async function monitor(berth: Berth, command: string): Promise<unknown> {
  const answer = await berth.virsh('qemu-monitor-command', JSON.stringify({ execute: command }));
  const { return: result } = JSON.parse(answer) as { return: unknown };
  return result;
}

type BlockNode = { readonly drv: string; readonly file: string };

async function openFiles(berth: Berth): Promise<string[]> {
  const nodes = (await monitor(berth, 'query-named-block-nodes')) as BlockNode[];
  const files = nodes.filter(({ drv }) => drv === 'file').map(({ file }) => file);
  return files;
}
