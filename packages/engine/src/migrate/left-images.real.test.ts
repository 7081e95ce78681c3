// What domains leave at home when they are migrated, and what of it goes when it is no longer wanted.
import { copyFile, mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { makeChain, startIdle } from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, migrateNow, TwoHosts } from '../../test/migrating.ts';
import { findLeftImages, removeLeftImages } from './left-images.ts';
import type { Pair } from './pair.ts';

let hosts: TwoHosts;
let pair: Pair;

beforeAll(async () => {
  hosts = await TwoHosts.start();
  pair = { home: hosts.side(hosts.one), away: hosts.side(hosts.two) };
});

afterAll(async () => {
  await hosts.stop();
});

const reach = (uri: string) => (uri === hosts.one.uri ? pair.home : pair.away);

/** As `cleanup DOMAIN --delete-source`. */
async function give(domain: string): Promise<string[]> {
  const found = await findLeftImages(pair.home, domain, reach);
  const removed: string[] = [];
  for (const left of found) removed.push(...(await removeLeftImages(pair.home, left, reach)));
  return removed;
}

async function directories(name: string): Promise<readonly [string, string]> {
  const made = [join(hosts.one.imagesDir, name), join(hosts.two.imagesDir, name)] as const;
  for (const path of made) await mkdir(path);
  return made;
}

const off = (path: string) => ({ disks: [{ path, format: 'qcow2', target: 'vda' }], as: 'off' }) as const;

test('a base that another domain stands on, here or on its way back, stays; what nobody needs goes', async () => {
  const [here, to] = await directories('bases');
  const { top } = await makeChain(here, ['base', 'first']);
  const [base, second] = [join(here, 'base.qcow2'), join(here, 'second.qcow2')];
  await copyFile(top.path, second);
  await startIdle(hosts.one, { name: 'first', ...off(top.path) });
  await startIdle(hosts.one, { name: 'second', ...off(second) });
  const request = { offline: true, destinationDirectory: to };
  await migrateNow(pair, ask('first', request));
  expect(await give('first')).toEqual([top.path]);
  const { ended } = await migrateNow(pair, ask('second', request));
  expect(ended.left).toEqual([second, base]);
  expect(await give('first')).toEqual([]);
  expect(await readdir(here)).toEqual(['base.qcow2', 'second.qcow2']);
  // What the first still tells of is that base alone, which nothing there needs any more.
  expect(await give('second')).toEqual([second, base]);
  expect(await give('first')).toEqual([]);
  expect(await pair.home.openMoves.left(undefined)).toEqual([]);
});

test('of a symbolic link the image goes too; and once the domain has come back to other images, the old ones go', async () => {
  const [here, to] = await directories('links');
  const back = join(here, 'back');
  await Promise.all([mkdir(join(here, 'storage')), mkdir(back)]);
  const { top } = await makeChain(join(here, 'storage'), ['image']);
  const link = join(here, 'image.qcow2');
  await symlink(top.path, link);
  await startIdle(hosts.one, { name: 'link', ...off(link) });
  await migrateNow(pair, ask('link', { offline: true, destinationDirectory: to }));
  const returning = { home: pair.away, away: pair.home };
  await migrateNow(returning, ask('link', { offline: true, destinationDirectory: back }));
  expect(new Set(await give('link'))).toEqual(new Set([link, top.path, join(to, 'image.qcow2')]));
  expect((await readdir(here, { recursive: true })).toSorted()).toEqual([
    'back',
    'back/image.qcow2',
    'storage',
  ]);
});
