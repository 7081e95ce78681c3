// A guest that writes all the time, from one real host to another and back.
import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localHost } from '@blockferry/qemu';
import {
  type Guest,
  guestWriter,
  type LibvirtHost,
  makeChain,
  startGuest,
  startLibvirtHost,
  verifyAcknowledged,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OpenMoves } from '../record/open-moves.ts';
import { Link } from '../run/link.ts';
import type { Pair } from './pair.ts';
import { preflightMigration } from './preflight/preflight.ts';
import { runMigration } from './run-migration.ts';

let a: LibvirtHost;
let b: LibvirtHost;
let guest: Guest;
let pair: Pair;
let state: string;

beforeAll(async () => {
  [a, b] = await Promise.all([startLibvirtHost({ name: 'bf-a' }), startLibvirtHost({ name: 'bf-b' })]);
  state = await mkdtemp(join(tmpdir(), 'bf-state-'));
  const here = localHost();
  const side = ({ uri }: LibvirtHost) => ({
    link: new Link(uri),
    host: here,
    openMoves: new OpenMoves(here, state),
  });
  pair = { home: side(a), away: side(b) };
  const { top, region } = await makeChain(a.imagesDir, ['base', 'snap1', 'top'], { fill: 4n << 20n });
  guest = await startGuest(a, {
    name: 'vm',
    disks: [{ target: 'vda', ...top }],
    writers: [guestWriter('vda', region, { rate: 'max' })],
  });
});

afterAll(async () => {
  await Promise.all([pair.home.link.close(), pair.away.link.close()]);
  await Promise.all([a.stop(), b.stop()]);
});

test('a running guest', async () => {
  const { record, warnings } = await preflightMigration(pair, {
    domain: 'vm',
    offline: false,
    destinationDirectory: b.imagesDir,
    verify: true,
    migrateUri: 'tcp://127.0.0.1',
    autoConverge: false,
  });
  console.log(JSON.stringify(record.disks, null, 1), warnings);
  const t0 = performance.now();
  const ended = await runMigration(pair, record, {
    signal: new AbortController().signal,
    report: (report) =>
      console.log(
        Math.round(performance.now() - t0),
        JSON.stringify(report, (_, v) => (typeof v === 'bigint' ? String(v) : v)),
      ),
    afterStep: (step) => console.log(Math.round(performance.now() - t0), 'after', step),
  }).catch(async (e) => {
    console.log((await a.logs()).slice(-3000), (await b.logs()).slice(-3000));
    throw e;
  });
  console.log(ended.ending, ended.downtimeMs, ended.freezeMs, ended.durationMs, ended.copied, ended.verified);
  expect(ended.ending).toEqual({ kind: 'migrated' });
  console.log(
    await a.virsh('list', '--all'),
    await b.virsh('list', '--all'),
    await readdir(a.imagesDir),
    await readdir(b.imagesDir),
    await readdir(state),
  );
  await guest.waitForWrites(200);
  await b.virsh('destroy', 'vm');
  const { lost, checked } = await verifyAcknowledged(
    { path: join(b.imagesDir, 'top.qcow2'), format: 'qcow2' },
    await guest.acknowledged(),
  );
  console.log(checked, lost.length);
  expect(lost).toEqual([]);
});
