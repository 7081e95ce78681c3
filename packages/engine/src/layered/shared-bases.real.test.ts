// Disks that share a base, moved one by one: it is copied once, nobody stands on one that has changed, and nobody loses
// the one that he stands on, or is about to.
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Ask,
  type LibvirtHost,
  Mover,
  removeIdle,
  run,
  startIdle,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { runMove } from '../run/run-move.ts';

let host: LibvirtHost;
let mover: Mover;
const at = (name: string) => join(host.imagesDir, name);
const PLACES = ['home', 'there', 'elsewhere'];

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
});
afterAll(async () => {
  await mover?.close();
  await host?.stop();
});

// base <- a, and base <- b: two domains; base <- second is another disk of b.
beforeEach(async () => {
  for (const place of PLACES) await mkdir(at(place));
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('home/base'), '16M']);
  await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 1 0 4M', at('home/base')]);
  for (const name of ['a', 'b', 'second']) {
    const on = ['-F', 'qcow2', '-b', at('home/base')];
    await run(['qemu-img', 'create', '-q', '-f', 'qcow2', ...on, at(`home/${name}`)]);
  }
  const disk = (target: string, name: string) =>
    ({ target, path: at(`home/${name}`), format: 'qcow2' }) as const;
  await startIdle(host, { name: 'a', disks: [disk('vda', 'a')] });
  await startIdle(host, { name: 'b', disks: [disk('vda', 'b'), disk('vdb', 'second')] });
});
afterEach(async () => {
  for (const name of ['a', 'b']) await removeIdle(host, name);
  for (const place of PLACES) await rm(at(place), { recursive: true });
});

type More = Partial<Ask>;
const ask = (domain: string, to: string, more: More = {}): Ask => ({
  domain,
  disk: 'vda',
  strategy: 'layered',
  scope: 'chain',
  destination: `${at(to)}/`,
  ...more,
});
const DELETING = { options: { deleteSource: true } };

async function moved(domain: string, to: string, more: More = {}): Promise<readonly string[]> {
  const { ending, warnings } = await mover.move(ask(domain, to, more));
  expect(ending).toEqual({ kind: 'moved' });
  return warnings.map(({ code }) => code);
}

/** As if blockferry had been stopped right after that step. */
async function stoppedAfter(step: string, asked: Ask): Promise<void> {
  const { move } = await mover.plan(asked);
  const stop = new AbortController();
  const afterStep = (name: string) => name === step && stop.abort();
  const { ending } = await runMove(mover.context, move, {
    signal: stop.signal,
    report: () => {},
    afterStep,
  });
  expect(ending).toEqual({ kind: 'stopped' });
}

const namesIn = async (place: string) => (await readdir(at(place))).sort();
const reads = (path: string) =>
  run(['qemu-io', '-U', '-r', '-f', 'qcow2', '-c', 'read -P 1 1M 64k', at(path)]);

it('one that somebody has committed into since it was copied is linked to no more', async () => {
  await moved('a', 'there');
  const device = '/machine/peripheral/virtio-disk0/virtio-backend';
  await host.virsh('qemu-monitor-command', '--hmp', 'a', `qemu-io -d ${device} "write -P 9 1M 64k"`);
  const into = ['--base', at('there/base'), '--active', '--pivot', '--wait'];
  await host.virsh('blockcommit', 'a', 'vda', ...into);
  const { code, message } = await mover.refusal(ask('b', 'there'));
  expect([code, message]).toEqual([
    'destination-exists',
    expect.stringContaining('somebody has written to it'),
  ]);
  expect(await namesIn('home')).toEqual(['a', 'b', 'base', 'second']);
});

it('two disks of one domain: refused together with what helps, one after the other the second links to it', async () => {
  const together = mover.planGroup({ domain: 'b', disks: { allTo: at('there') } });
  await expect(together).rejects.toMatchObject({
    code: 'names-clash',
    hint: expect.stringContaining('one after the other'),
  });
  await removeIdle(host, 'a');
  await moved('b', 'there');
  expect(await moved('b', 'there', { disk: 'vdb' })).toContain('shared-base');
  // Nobody is left who could look for it by its journal.
  expect(await namesIn('there')).toEqual(['b', 'base', 'second']);
});

it('whoever brought it goes back, but it stays for the one who is linked to it by then', async () => {
  expect((await mover.move(ask('a', 'there', { hold: true }))).ending).toEqual({ kind: 'ready' });
  expect(await moved('b', 'there')).toContain('shared-base');
  const { ending, warnings } = await mover.change('a', { goal: 'abort' });
  expect(ending.kind).toBe('back');
  expect(warnings.map(({ code }) => code)).toContain('copy-in-use');
  expect(await namesIn('there')).toEqual(['.base.blockferry-copy', 'b', 'base']);
  await reads('there/b');
});

it('it stays for a move that is about to link to it, and is looked at once more before it is', async () => {
  await moved('a', 'there');
  await stoppedAfter('freeze', ask('b', 'there'));
  expect(await moved('a', 'elsewhere', DELETING)).toContain('source-in-use');
  expect(await namesIn('there')).toContain('base');
  await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 9 1M 64k', at('there/base')]);
  await expect(mover.change('b', {})).rejects.toThrow(/may not be what was copied/);
  expect((await mover.change('b', { goal: 'abort' })).ending.kind).toBe('back');
  await reads('home/b');
});

it('there, on and back again with the sources deleted: no place keeps anything, and a copy that was removed by hand is made anew', async () => {
  await removeIdle(host, 'b');
  await startIdle(host, { name: 'b', disks: [{ target: 'vda', path: at('home/b'), format: 'qcow2' }] });
  for (const place of ['there', 'home']) {
    expect(await moved('a', place, DELETING)).toContain('source-in-use');
    if (place === 'there') await copyFile(at('there/.base.blockferry-copy'), at('elsewhere/journal'));
    expect(await moved('b', place, DELETING)).toContain('shared-base');
    expect(await namesIn(place)).toEqual(['a', 'b', 'base', ...(place === 'home' ? ['second'] : [])]);
  }
  expect(await namesIn('there')).toEqual([]);
  // Of an image that was removed with rm, as a move says once it has kept the sources.
  await rename(at('elsewhere/journal'), at('there/.base.blockferry-copy'));
  expect(await moved('b', 'there')).not.toContain('shared-base');
  await reads('there/b');
});

it('of two that begin at one moment one makes it, and the other is refused before it touches anything', async () => {
  const plans = await Promise.all(['a', 'b'].map((domain) => mover.plan(ask(domain, 'there'))));
  const options = { signal: AbortSignal.timeout(90_000), report: () => {}, begins: true };
  const ends = await Promise.allSettled(plans.map(({ move }) => runMove(mover.context, move, options)));
  const [first, ...more] = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
  expect([first?.ending, more]).toEqual([{ kind: 'moved' }, []]);
  const refused = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []));
  expect(refused).toEqual([expect.objectContaining({ name: 'Refusal', code: 'destination-exists' })]);
  const moved = first?.move.domain.name ?? '';
  expect(await namesIn('there')).toEqual(['.base.blockferry-copy', moved, 'base']);
});
