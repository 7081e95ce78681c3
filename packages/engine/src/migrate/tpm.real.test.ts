// The state of an emulated TPM, as libvirt's swtpm has it, on its way to another host: with a domain that runs, and with one
// that is off. The tools run inside the hosts, for there that state is.
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type LibvirtHost, removeIdle, run, startIdle } from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, migrateNow, TwoHosts } from '../../test/migrating.ts';
import { wantHome } from './change-goal.ts';
import type { Pair } from './pair.ts';
import { preflightMigration } from './preflight/preflight.ts';
import type { MigrationRecord } from './record.ts';
import { runMigration } from './run-migration.ts';

let hosts: TwoHosts;
let pair: Pair;

beforeAll(async () => {
  hosts = await TwoHosts.start();
  pair = { home: await hosts.overSsh(hosts.one), away: await hosts.overSsh(hosts.two) };
});
afterAll(async () => {
  await hosts.stop();
});

const EMULATED = "<backend type='emulator' version='2.0'/>";

/** Started and paused, so that swtpm has made its state; its disk is in a directory of its own, as there. */
async function startWithTpm(name: string, backend = EMULATED, as?: 'off'): Promise<void> {
  const { one, two } = hosts;
  await Promise.all([one, two].map(({ imagesDir }) => mkdir(join(imagesDir, name), { recursive: true })));
  const path = join(one.imagesDir, name, 'disk');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', path, '16M']);
  const extraDevices = `<tpm model='tpm-crb'>${backend}</tpm>`;
  const disks = [{ target: 'vda', path, format: 'qcow2' }] as const;
  await startIdle(one, { name, disks, extraDevices, ...(as && { as }) });
}
const request = (name: string, offline: boolean) =>
  ask(name, { offline, destinationDirectory: join(hosts.two.imagesDir, name) });
const inHost = async (host: LibvirtHost, script: string, ...args: readonly string[]) =>
  (await host.inNamespace(['sh', '-c', script, 'sh', ...args])).stdout;
const uuidOf = async (name: string) => (await hosts.one.virsh('domuuid', name)).trim();
/** Each file of a domain's state with its owner, mode and sum. */
const holds = (host: LibvirtHost, uuid: string) =>
  inHost(
    host,
    'cd "/var/lib/libvirt/swtpm/$1" 2>/dev/null && find . -type f -exec stat -c "%U:%G %a %n" {} + -exec sha256sum {} + | sort',
    uuid,
  ).catch(() => '');
const refusal = (name: string, offline: boolean) =>
  preflightMigration(pair, request(name, offline)).then(
    () => 'nothing',
    ({ code }: { code: string }) => code,
  );

async function dying(record: MigrationRecord, after: string, recorded: boolean): Promise<void> {
  const died = runMigration(pair, record, {
    recorded,
    signal: AbortSignal.timeout(60_000),
    report: () => {},
    afterStep: (step) => {
      if (step === after) throw new Error('died');
    },
  });
  await expect(died).rejects.toThrow('died');
}
const goOn = async (record: MigrationRecord) =>
  (
    await runMigration(pair, record, {
      recorded: true,
      signal: AbortSignal.timeout(60_000),
      report: () => {},
    })
  ).ending;

test('of a domain that runs: libvirt carries it, and the domain starts with it there again', async () => {
  const { one, two } = hosts;
  await startWithTpm('live');
  await one.virsh('resume', 'live');
  const uuid = await uuidOf('live');
  // Tools on this machine: none of ours has anything to do with it.
  const here = { home: hosts.side(one), away: hosts.side(two) };
  const { record } = await migrateNow(here, request('live', false));
  expect(record.states).toEqual([]);
  const state = await holds(two, uuid);
  expect(state).toContain('tss:tss 600 ./tpm2/tpm2-00.permall');
  await two.virsh('destroy', 'live');
  expect(await holds(two, uuid)).toBe(state);
  await two.virsh('start', '--paused', 'live');
  expect(await holds(two, uuid)).toBe(state);
  expect(await holds(one, uuid)).toBe('');
  await removeIdle(two, 'live');
});

test('of a domain that is off: it comes along, whoever dies, as it is at home by then; an abort leaves nothing of it', async () => {
  const { one, two } = hosts;
  await startWithTpm('off');
  await one.virsh('destroy', 'off');
  const uuid = await uuidOf('off');
  const before = await holds(one, uuid);
  await inHost(two, 'mkdir -p "/var/lib/libvirt/swtpm/$1/tpm2"', uuid);
  expect(await refusal('off', true)).toBe('tpm-state-exists');
  await inHost(two, 'rm -r "/var/lib/libvirt/swtpm/$1"', uuid);
  const { record } = await preflightMigration(pair, request('off', true));
  await dying(record, 'bring-state:claimed-tpm', false);
  expect(await inHost(two, 'ls /var/lib/libvirt/swtpm')).toBe(`${uuid}\n`);
  expect(await goOn(await wantHome(pair, record))).toMatchObject({ kind: 'back' });
  expect(await inHost(two, 'ls /var/lib/libvirt/swtpm')).toBe('');
  expect(await holds(one, uuid)).toBe(before);
  const again = (await preflightMigration(pair, request('off', true))).record;
  await dying(again, 'bring-state', false);
  expect(await holds(two, uuid)).toBe(before);
  // As if it had run meanwhile.
  await inHost(one, 'printf x >>"/var/lib/libvirt/swtpm/$1/tpm2/tpm2-00.permall"', uuid);
  const changed = await holds(one, uuid);
  expect(changed).not.toBe(before);
  expect(await goOn(again)).toEqual({ kind: 'migrated' });
  expect(await holds(two, uuid)).toBe(changed);
  expect(await readdir(join(two.imagesDir, 'off'))).toEqual(['disk']);
  await inHost(two, 'truncate -s -1 "/var/lib/libvirt/swtpm/$1/tpm2/tpm2-00.permall"', uuid);
  await two.virsh('start', '--paused', 'off');
  await two.virsh('destroy', 'off');
  expect(await holds(two, uuid)).toBe(before);
  await removeIdle(two, 'off');
});

test.each([
  ["is the host's own", "<backend type='passthrough'><device path='/dev/tpm0'/></backend>", 'has-tpm'],
  [
    'nobody there could decrypt',
    "<backend type='emulator' version='2.0'><encryption secret='4d2b4a1f-0f2c-4c8b-8c7d-0a6a37d7bd11'/></backend>",
    'encrypted',
  ],
])('what cannot come along is refused: a TPM that %s', async (_, backend, code) => {
  await startWithTpm('refused', backend, 'off');
  expect(await refusal('refused', true)).toBe(code);
  await removeIdle(hosts.one, 'refused');
});
