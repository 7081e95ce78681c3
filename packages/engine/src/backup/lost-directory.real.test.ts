// A directory of backups that is removed, emptied or moved while the guest is on its overlay: it comes back to its images.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '@blockferry/qemu';
import { type LibvirtHost, Mover, removeIdle, run, startIdle, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  type BackupRecord,
  backupInto,
  continueBackup,
  findBackup,
  foreseePrune,
  makeBackup,
  preflightBackup,
  type Refusal,
  undoBackup,
} from '../index.ts';

let host: LibvirtHost;
let mover: Mover;
let tools: Host;
let directory: string;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
  if (mover.context.host === undefined) throw new Error('no tools');
  tools = mover.context.host;
});
afterAll(async () => {
  await mover.close();
  await host.stop();
});
beforeEach(async () => {
  directory = at('backup');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('disk'), '64M']);
  await startIdle(host, { name: 'vm', disks: [{ target: 'vda', path: at('disk'), format: 'qcow2' }] });
});
afterEach(async () => {
  await removeIdle(host, 'vm');
  await run(['sh', '-c', 'rm -rf "$1"/* "$1"/.[!.]*', 'sh', host.imagesDir]);
});

const options = () => ({ signal: AbortSignal.timeout(60_000), report: () => {} });
const disk = async () => (await host.virsh('domblklist', 'vm')).includes(`${at('disk')}\n`);
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'not refused',
    ({ code }: Refusal) => code,
  );

/** Stops when the guest has been given its overlay. */
async function begin(): Promise<BackupRecord> {
  const { record } = await preflightBackup(mover.context, {
    ...{ domain: 'vm', directory, disks: [], kind: 'full', quiesce: 'auto', checkpoint: true },
    copying: { flatten: false, compressed: false, verify: true },
  });
  const stop = new AbortController();
  const afterStep = (step: string) => {
    if (step === 'freeze') stop.abort();
  };
  const { outcome } = await makeBackup(mover.context, tools, record, {
    ...{ signal: stop.signal, report: () => {}, afterStep },
  });
  expect([outcome.kind, await disk()]).toEqual(['stopped', false]);
  return record;
}

async function opened(): Promise<BackupRecord> {
  const record = await findBackup(mover.context, 'vm');
  if (record === undefined) throw new Error('it is open');
  return record;
}

test('removed: it is not gone on with, and undone by the record in the domain', async () => {
  await begin();
  await run(['rm', '-rf', directory]);
  expect(await codeOf(continueBackup(mover.context, tools, await opened(), options()))).toBe(
    'no-backup-directory',
  );
  const warnings: string[] = [];
  const report = (each: { readonly type: string; readonly code?: string }) => {
    if (each.type === 'warning') warnings.push(each.code ?? '');
  };
  const undone = await undoBackup(mover.context, tools, await opened(), { ...options(), report });
  expect([undone.outcome.kind, await disk()]).toEqual(['back', true]);
  // Nobody knows any more whose it is.
  expect(warnings).toContain('left-behind');
  const left = await readdir(host.imagesDir);
  expect(left.filter((name) => !name.endsWith('.overlay'))).toEqual(['disk']);
  expect(await findBackup(mover.context, 'vm')).toBeUndefined();
  expect((await host.virsh('checkpoint-list', 'vm', '--name')).trim()).toBe('');
});

test('emptied: the same, and the directory stays', async () => {
  await begin();
  await run(['sh', '-c', 'rm -rf "$1" && mkdir "$1"', 'sh', directory]);
  expect(await codeOf(continueBackup(mover.context, tools, await opened(), options()))).toBe(
    'no-backup-directory',
  );
  await undoBackup(mover.context, tools, await opened(), options());
  expect(await disk()).toBe(true);
  expect(await readdir(host.imagesDir)).toContain('backup');
});

test('moved or copied: its journal speaks of another directory, and nothing is done by it', async () => {
  await begin();
  await run(['cp', '-a', directory, at('copy')]);
  // It is open, and whoever asks by another name of the directory means this one.
  expect((await backupInto(tools, at('copy')))?.directory).toBe(directory);
  await run(['mv', directory, at('moved')]);
  for (const path of [at('copy'), at('moved')]) {
    expect(await codeOf(backupInto(tools, path))).toBe('backup-moved');
    expect(await codeOf(foreseePrune(tools, path, { last: 1 }))).toBe('backup-moved');
  }
  await run(['mv', at('moved'), directory]);
  const { outcome } = await continueBackup(mover.context, tools, await opened(), options());
  expect([outcome.kind, await disk()]).toEqual(['done', true]);
});
