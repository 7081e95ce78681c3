// A domain that is saved (virsh managedsave; libvirt-guests, when its host goes down) goes on from the images it was saved on.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Ask, type LibvirtHost, Mover, run, startIdle, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runMove } from '../run/run-move.ts';

let host: LibvirtHost;
let mover: Mover;
const at = (name: string) => join(host.imagesDir, name);
const save = () => host.virsh('managedsave', 'vm', '--paused');

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
  await mkdir(at('there'));
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('disk'), '16M']);
  await startIdle(host, { name: 'vm', disks: [{ target: 'vda', path: at('disk'), format: 'qcow2' }] });
});
afterAll(async () => {
  await mover?.close();
  await host?.stop();
});

it('saved, it is refused; saved on the way, its move goes no further until it was started', async () => {
  const ask: Ask = {
    domain: 'vm',
    disk: 'vda',
    strategy: 'layered',
    scope: 'chain',
    destination: at('there/'),
  };
  await save();
  expect((await mover.refusal(ask)).code).toBe('managed-save');
  // A copy leaves it where it was saved.
  const copy = { compressed: false, quiesce: 'off' } as const;
  const image = { ...ask, copy, scope: 'flatten', destination: at('image') } as const;
  expect((await mover.move(image)).ending).toEqual({ kind: 'copied' });
  // Nobody has brought its file systems to rest.
  const asking = (quiesce: 'auto' | 'require') => ({
    ...image,
    copy: { ...copy, quiesce },
    destination: at('2'),
  });
  expect((await mover.plan(asking('auto'))).warnings).toMatchObject([{ code: 'not-quiesced' }]);
  expect((await mover.refusal(asking('require'))).code).toBe('managed-save');
  await host.virsh('start', 'vm');

  const { move } = await mover.plan(ask);
  const stop = new AbortController();
  const afterStep = (name: string) => name === 'freeze' && stop.abort();
  const options = { signal: stop.signal, report: () => {}, afterStep };
  expect((await runMove(mover.context, move, options)).ending).toEqual({ kind: 'stopped' });
  await save();
  const saved = { kind: 'interrupted', why: 'domain-saved' };
  expect((await mover.change('vm', {})).ending).toMatchObject(saved);
  await host.virsh('start', 'vm');
  expect((await mover.change('vm', {})).ending).toEqual({ kind: 'moved' });
  expect(await host.virsh('domblklist', 'vm')).toContain(at('there/disk'));
});
