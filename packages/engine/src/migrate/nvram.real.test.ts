// The variables of a domain's firmware on their way to another host: with a domain that runs, whose firmware counts its starts
// in them, and with one that is off. The tools run inside the hosts, for there the files are.
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type LibvirtHost,
  removeIdle,
  run,
  startIdle,
  until,
  writeCountingFirmware,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, migrateNow, TwoHosts } from '../../test/migrating.ts';
import { wantHome } from './change-goal.ts';
import { findLeftImages, removeLeftImages } from './left-images.ts';
import { findMigrationLeftovers, removeMigrationLeftover } from './leftovers.ts';
import type { Pair } from './pair.ts';
import { preflightMigration } from './preflight/preflight.ts';
import type { MigrationRecord } from './record.ts';
import { runMigration } from './run-migration.ts';

/** Where libvirt has them by itself. */
const nvramOf = (name: string) => `/var/lib/libvirt/qemu/nvram/${name}_VARS.fd`;

let hosts: TwoHosts;
let pair: Pair;
let code: string;

beforeAll(async () => {
  hosts = await TwoHosts.start();
  pair = { home: await hosts.overSsh(hosts.one), away: await hosts.overSsh(hosts.two) };
  code = join(hosts.one.imagesDir, 'code.fd');
  await writeCountingFirmware(code);
});
afterAll(async () => {
  await hosts.stop();
});

async function startUefi(
  name: string,
  as: 'persistent' | 'off',
  { nvram = nvramOf(name), template = code } = {},
): Promise<void> {
  const { one, two } = hosts;
  await Promise.all([one, two].map(({ imagesDir }) => mkdir(join(imagesDir, name), { recursive: true })));
  const path = join(one.imagesDir, name, 'disk');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', path, '16M']);
  await startIdle(one, {
    name,
    disks: [{ target: 'vda', path, format: 'qcow2' }],
    firmware: { code, nvram, template },
    as,
  });
}
const request = (name: string, offline: boolean) =>
  ask(name, { offline, destinationDirectory: join(hosts.two.imagesDir, name) });
const inHost = async (host: LibvirtHost, script: string, ...args: readonly string[]) =>
  (await host.inNamespace(['sh', '-c', script, 'sh', ...args])).stdout.trim();
/** How often a domain was started with it, as its firmware counts; empty: the file is not there. */
const starts = (host: LibvirtHost, nvram: string) =>
  inHost(host, '[ ! -e "$1" ] || od -An -tu1 -N1 "$1" | tr -d " "', nvram);
const holds = (host: LibvirtHost, nvram: string) =>
  inHost(host, 'stat -c "%U:%G %a %s" "$1" && sha256sum "$1"', nvram);
/** Lets it run until its firmware has counted this start. */
async function counts(host: LibvirtHost, name: string, count: number): Promise<void> {
  await until(`start ${count}`, async () => (await starts(host, nvramOf(name))) === `${count}` || undefined);
}
/** @param failsAt a part of a step that is the last one */
async function goOn(record: MigrationRecord, recorded: boolean, failsAt?: string) {
  const ended = await runMigration(pair, record, {
    recorded,
    signal: AbortSignal.timeout(60_000),
    report: () => {},
    afterStep: (step) => {
      if (step === failsAt) throw new Error('died');
    },
  });
  return ended.ending;
}
const refusal = (name: string, offline: boolean) =>
  preflightMigration(pair, request(name, offline)).then(
    () => 'nothing',
    ({ code: why }: { code: string }) => why,
  );

test('of a domain that runs: there with what its firmware wrote, over a restart too; nothing of it when it comes to nothing', async () => {
  const { one, two } = hosts;
  await startUefi('live', 'persistent');
  await one.virsh('resume', 'live');
  await counts(one, 'live', 1);
  const { record } = await preflightMigration(pair, request('live', false));
  // libvirt there has prepared to receive it.
  expect(await goOn(record, false, 'cross:prepared')).toMatchObject({ why: 'crossing-failed' });
  expect(await starts(two, nvramOf('live'))).toBe('1');
  expect(await goOn(await wantHome(pair, record), true)).toMatchObject({ kind: 'back' });
  expect(await starts(two, nvramOf('live'))).toBe('');
  const { ended } = await migrateNow(pair, request('live', false));
  // The template, of which libvirt would have made it, counts none.
  expect(await starts(two, nvramOf('live'))).toBe('1');
  await two.virsh('destroy', 'live');
  await two.virsh('start', 'live');
  await counts(two, 'live', 2);
  expect(await starts(one, nvramOf('live'))).toBe('1');
  expect(ended.left).toEqual([join(one.imagesDir, 'live', 'disk'), nvramOf('live')]);
  const [left] = await findLeftImages(pair.home, 'live', () => pair.away);
  if (left === undefined) throw new Error('nothing was noted');
  expect(await removeLeftImages(pair.home, left, () => pair.away)).toEqual(ended.left);
  expect(await starts(one, nvramOf('live'))).toBe('');
  await removeIdle(two, 'live');
});

test('of a domain that is off: as they are at home, with owner and mode; and one that was never started gets new ones', async () => {
  const { one, two } = hosts;
  await startUefi('off', 'persistent');
  await one.virsh('resume', 'off');
  await counts(one, 'off', 1);
  await one.virsh('destroy', 'off');
  const before = await holds(one, nvramOf('off'));
  const { record } = await preflightMigration(pair, request('off', true));
  await expect(goOn(record, false, 'bring-state:filled-nvram')).rejects.toThrow('died');
  await one.virsh('metadata', 'off', 'urn:blockferry:migration:1', '--remove', '--config');
  const [leftover] = await findMigrationLeftovers(pair.away, join(two.imagesDir, 'off'), () => pair.home);
  if (leftover === undefined) throw new Error('nothing was found');
  const paths = [join(two.imagesDir, 'off', 'disk'), nvramOf('off')];
  expect(leftover.verdict).toEqual({ kind: 'remove-copy', paths });
  const removed = await removeMigrationLeftover(pair.away, leftover, () => pair.home);
  expect(removed).toEqual(expect.arrayContaining(paths));
  expect(await starts(two, nvramOf('off'))).toBe('');
  await migrateNow(pair, request('off', true));
  expect(await holds(two, nvramOf('off'))).toBe(before);
  expect(await holds(one, nvramOf('off'))).toBe(before);
  await two.virsh('start', 'off');
  await counts(two, 'off', 2);
  await removeIdle(two, 'off');
  await startUefi('new', 'off');
  const { ended } = await migrateNow(pair, request('new', true));
  expect(ended.left).toEqual([join(one.imagesDir, 'new', 'disk')]);
  expect(await starts(two, nvramOf('new'))).toBe('');
  await two.virsh('start', 'new');
  await counts(two, 'new', 1);
  await removeIdle(two, 'new');
});

test('what cannot come along is refused, and nothing is touched', async () => {
  const { one, two } = hosts;
  const nvram = nvramOf('refused');
  await startUefi('refused', 'off');
  await inHost(one, 'cp "$2" "$1"', nvram, code);
  const there = async (script: string, undo = 'rm -r "$1"') => {
    await inHost(two, script, nvram);
    const why = await refusal('refused', true);
    await inHost(two, undo, nvram);
    return why;
  };
  expect(await there('echo foreign >"$1"')).toBe('destination-exists');
  expect(await there(': >"$1"')).toBe('destination-exists');
  expect(await there('mkdir "$1"')).toBe('destination-exists');
  expect(await there('ln -s /nowhere "$1"')).toBe('destination-exists');
  const [aside, back] = ['mv "$d" "$d.aside"', 'mv "$d.aside" "$d"'].map((mv) => `d=$(dirname "$1"); ${mv}`);
  expect(await there(aside ?? '', back)).toBe('no-such-directory');
  await inHost(one, 'rm "$1" && mkdir "$1"', nvram);
  expect(await refusal('refused', true)).toBe('has-nvram');
  await inHost(one, 'rmdir "$1" && truncate -s 100M "$1"', nvram);
  expect(await refusal('refused', true)).toBe('has-nvram');
  await inHost(one, 'rm "$1" && mv "$2" "$2.aside"', nvram, code);
  expect(await refusal('refused', true)).toBe('missing-file');
  await inHost(one, 'mv "$2.aside" "$2"', nvram, code);
  await removeIdle(one, 'refused');
  await startUefi('refused', 'off', { template: `${code}.template` });
  // Only what there is nothing of yet is made of it.
  expect(await refusal('refused', true)).toBe('missing-file');
  await inHost(one, 'cp "$2" "$1"', nvram, code);
  expect(await refusal('refused', true)).toBe('nothing');
  await removeIdle(one, 'refused');
  await startUefi('refused', 'off', { nvram: join(two.imagesDir, 'refused', 'disk') });
  expect(await refusal('refused', true)).toBe('names-clash');
  expect(await readdir(join(two.imagesDir, 'refused'))).toEqual([]);
  await removeIdle(one, 'refused');
});
