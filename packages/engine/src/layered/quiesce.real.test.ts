// Copies whose instant the guest's agent prepares: its file systems are frozen for it, and thawed whatever happens.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from '@blockferry/libvirt';
import {
  type AgentGuest,
  agentDomainXml,
  agentSaid,
  type LibvirtHost,
  Mover,
  run,
  startLibvirtHost,
  until,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { preflightCopies, type Quiesce, type Refusal, runGroup, type StepName } from '../index.ts';

let host: LibvirtHost;
let mover: Mover;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
});
afterAll(async () => {
  await mover.close();
  await host.stop();
});

/** Returns when libvirt has heard from its agent. */
async function start(name: string, kind: AgentGuest['kind']): Promise<void> {
  for (const disk of ['a', 'b']) {
    await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at(`${name}-${disk}`), '16M']);
    await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 7 1M 1M', at(`${name}-${disk}`)]);
  }
  const disks = [
    { target: 'vda', path: at(`${name}-a`), format: 'qcow2' },
    { target: 'vdb', path: at(`${name}-b`), format: 'qcow2' },
  ] as const;
  const xml = await agentDomainXml(host, { name, disks, ...(kind && { kind }) });
  await using connection = await connect(host.uri);
  const domain = await connection.defineDomainXml(xml);
  await using states = await connection.subscribe('agentLifecycle', { domain });
  await domain.create();
  for await (const { state } of states) if (state === 'connected') break;
}

let copies = 0;
async function copy(name: string, quiesce: Quiesce, afterStep?: (step: StepName) => void) {
  const directory = at(`to${++copies}`);
  await mkdir(directory);
  const disks = { allTo: directory };
  const planned = await preflightCopies(mover.context, {
    ...{ domain: name, disks, scope: 'chain', verify: true, quiesce },
  } as const);
  const warnings: string[] = [];
  const ended = await runGroup(
    mover.context,
    planned.disks.map(({ move }) => move),
    {
      signal: AbortSignal.timeout(60_000),
      report: (_, report) => report.type === 'warning' && warnings.push(report.code),
      ...(afterStep && { afterStep }),
    },
  );
  const quiesced = ended.disks.some(({ move }) => move.copy?.quiesced === true);
  return { endings: ended.disks.map(({ ending }) => ending), quiesced, warnings };
}

const copied = [{ kind: 'copied' }, { kind: 'copied' }];

test('an agent that is there freezes once for all disks; asked not to, never; and every freeze is followed by a thaw', async () => {
  await start('plain', 'plain');
  expect(await copy('plain', 'require')).toEqual({ endings: copied, quiesced: true, warnings: [] });
  const said = await agentSaid(host, 'plain');
  expect(said.filter((word) => word === 'frozen')).toHaveLength(1);
  expect(said.at(-1)).toBe('thawed');
  expect(await copy('plain', 'off')).toMatchObject({ endings: copied, quiesced: false });
  expect(await agentSaid(host, 'plain')).toEqual(said);
  await host.virsh('destroy', 'plain');
});

test('an agent that fails: `auto` says so and copies all the same, `require` goes back', async () => {
  await start('refuses', 'refuses');
  expect(await copy('refuses', 'auto')).toEqual({
    endings: copied,
    quiesced: false,
    warnings: ['not-quiesced'],
  });
  const { endings } = await copy('refuses', 'require');
  expect(endings.map(({ kind }) => kind)).toEqual(['back', 'back']);
  expect(endings).toContainEqual({ kind: 'back', why: expect.stringContaining('a hook has failed') });
  expect((await agentSaid(host, 'refuses')).at(-1)).not.toBe('frozen');
  await host.virsh('destroy', 'refuses');
  // Of a domain that is off, the file systems are at rest.
  expect(await copy('refuses', 'require')).toMatchObject({ endings: copied, quiesced: false });
});

test('libvirtd dies between the freeze and the thaw: the file systems are thawed at the next look', async () => {
  await start('slow', 'slow');
  const done = copy('slow', 'require');
  await until('the freeze', async () =>
    (await agentSaid(host, 'slow')).includes('frozen') ? true : undefined,
  );
  await host.restartLibvirtd();
  await done;
  expect((await agentSaid(host, 'slow')).at(-1)).toBe('thawed');
  expect(await host.virsh('dumpxml', 'slow')).not.toContain('urn:blockferry');
  await host.virsh('destroy', 'slow');
});

test('nobody there: `require` is refused, `auto` is said before', async () => {
  await host.virsh('start', '--paused', 'plain');
  const asked = { domain: 'plain', disks: { allTo: host.imagesDir }, scope: 'chain', verify: true } as const;
  const refused = preflightCopies(mover.context, { ...asked, nameOf: (_, disk) => disk, quiesce: 'require' });
  expect(await refused.catch((error: Refusal) => error.code)).toBe('no-guest-agent');
  const { disks } = await preflightCopies(mover.context, {
    ...asked,
    nameOf: (_, disk) => disk,
    quiesce: 'auto',
  });
  expect(disks[0]?.warnings.map(({ code }) => code)).toEqual(['not-quiesced']);
});
