// The command line on a real host: moves, their JSON, Ctrl-C, and what can be seen before and after.
import { readdir } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import {
  type Chain,
  type Guest,
  guestWriter,
  type LibvirtHost,
  makeChain,
  removeIdle,
  run,
  startGuest,
  startIdle,
  startLibvirtHost,
  until,
  verifyAcknowledged,
} from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inProcess, jsonLines, lastLine, start, type Where, withAnswer } from '../test/command.ts';

let host: LibvirtHost;
let where: Where;
let chain: Chain;
let guest: Guest;
/** The active image, as the tests in their order leave it. */
let active: string;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  where = { uri: host.uri, stateDirectory: join(host.directory, 'state') };
  chain = await makeChain(host.imagesDir, ['base', 'snap1', 'snap2'], { fill: 4n << 20n });
  active = chain.top.path;
  guest = await startGuest(host, {
    name: 'testvm',
    disks: [{ path: chain.top.path, target: 'vda', format: 'qcow2' }],
    writers: [guestWriter('vda', chain.region, { rate: 30 })],
  });
  await run([
    'qemu-img',
    'create',
    '-q',
    '-f',
    'qcow2',
    '-b',
    at('base.qcow2'),
    '-F',
    'qcow2',
    at('clone.qcow2'),
  ]);
});

afterAll(async () => {
  await host?.stop();
});

async function imagesOf(domain: string): Promise<(string | undefined)[]> {
  const lists = [
    await host.virsh('domblklist', domain),
    await host.virsh('domblklist', domain, '--inactive'),
  ];
  return lists.map((list) => /^ vda +(\S.*?) *$/m.exec(list)?.[1]);
}

describe('what can be seen', () => {
  it('list shows domain, state, disk and image', async () => {
    const { code, out } = await inProcess(where, 'list');
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`testvm +running +vda +qcow2 +${active}`));
  });

  it('chain shows each image with its format and sizes, top first', async () => {
    const said = await inProcess(where, 'chain', 'testvm', 'vda', '--json');
    const [line] = jsonLines(said);
    expect(line).toMatchObject({
      type: 'chain',
      domain: 'testvm',
      disk: 'vda',
      definition: 'live',
      problem: null,
    });
    expect(line?.images).toMatchObject(
      ['snap2', 'snap1', 'base'].map((name) => ({
        path: at(`${name}.qcow2`),
        format: 'qcow2',
        virtualSize: Number(chain.size),
        allocated: expect.any(Number) as number,
        usedBy: [],
      })),
    );
    expect((await inProcess(where, 'chain', 'testvm')).out).toMatch(
      /\n\S+snap2.*\n└─ \S+snap1.*\n {3}└─ \S+base/,
    );
  });

  it('plan says what would be done, and does nothing', async () => {
    const before = await readdir(host.imagesDir);
    const { code, out } = await inProcess(where, 'plan', 'testvm', 'vda', at('copy.qcow2'), '--shallow');
    expect(code).toBe(0);
    expect(out).toContain(at('copy.qcow2'));
    expect(out).toContain('if everything stopped here');
    expect(await readdir(host.imagesDir)).toEqual(before);
  });

  it('doctor finds this host able', async () => {
    const { code, out } = await inProcess(where, 'doctor', '--json');
    expect(jsonLines({ out }).filter(({ status }) => status === 'missing')).toEqual([]);
    expect(code).toBe(0);
  });
});

describe('move --shallow --json', () => {
  it('ends with a result, and both definitions name the copy on top of the same chain', async () => {
    const copy = at('copy.qcow2');
    const writes = (await guest.stats()).writes;
    const said = await start(where, 'move', 'testvm', 'vda', copy, '--shallow', '--json').ended;
    expect(said).toMatchObject({ code: 0, err: '' });
    const lines = jsonLines(said);
    expect(lines[0]).toMatchObject({
      v: 1,
      type: 'plan',
      source: active,
      destination: copy,
      scope: 'shallow',
    });
    expect(lines.at(-1)).toMatchObject({
      v: 1,
      type: 'result',
      outcome: 'moved',
      exitCode: 0,
      destination: copy,
      runsOn: copy,
      cutoverMs: expect.any(Number) as number,
      sourcesKept: [active],
      leftovers: [],
      error: null,
    });
    expect(lines.filter(({ type }) => type === 'step').map(({ step }) => step)).toContain('pivot');
    expect(await imagesOf('testvm')).toEqual([copy, copy]);
    const info = await run(['qemu-img', 'info', '-U', '--output=json', copy]);
    expect(JSON.parse(info.stdout)).toMatchObject({ 'backing-filename': at('snap1.qcow2') });
    await guest.waitForWrites(30);
    expect((await guest.stats()).writes).toBeGreaterThan(writes);
    active = copy;
  });

  it('leaves nothing of ours behind', async () => {
    expect((await readdir(host.imagesDir)).filter((name) => name.includes('blockferry'))).toEqual([]);
    expect(await readdir(where.stateDirectory)).toEqual([]);
    expect(await host.virsh('dumpxml', 'testvm')).not.toContain('blockferry');
  });
});

describe('a move that is held', () => {
  it('is shown by list and status, and waits', async () => {
    const said = await inProcess(where, 'move', 'testvm', 'vda', at('held.qcow2'), '--shallow', '--hold');
    expect(said.code).toBe(0);
    expect(said.out).toContain(`blockferry -c '${host.uri}' pivot testvm vda`);
    expect((await inProcess(where, 'list')).out).toContain(`copying, held to ${at('held.qcow2')}`);
    expect((await inProcess(where, 'status')).out).toContain('testvm vda: ready, held');
    expect(jsonLines(await inProcess(where, 'status', '--json'))[0]).toMatchObject({ atWork: false });
    // By its id, too, as virsh takes it.
    const id = (await host.virsh('domid', 'testvm')).trim();
    expect((await inProcess(where, 'status', id)).out).toContain('testvm vda: ready, held');
    expect(await imagesOf('testvm')).toEqual([active, active]);
  });

  it('takes a new limit', async () => {
    const said = await inProcess(where, 'bandwidth', 'testvm', '5M');
    expect(said).toMatchObject({ code: 0, out: 'the copy of vda of testvm is limited to 5.0 MiB/s\n' });
    expect(await host.virsh('blockjob', 'testvm', 'vda', '--raw', '--bytes')).toContain('bandwidth=5242880');
    expect((await inProcess(where, 'bandwidth', 'testvm', 'vda', '0')).out).toContain('not limited');
  });

  it('is continued by the same command, and not by one to another place', async () => {
    const again = ['move', 'testvm', 'vda', at('held.qcow2'), '--shallow', '--hold', '--json'];
    const same = await inProcess(where, ...again);
    expect(jsonLines(same)[0]).toMatchObject({ type: 'warning', code: 'continuing' });
    expect(lastLine(same)).toMatchObject({ outcome: 'ready', exitCode: 0 });
    const other = await inProcess(where, 'move', 'testvm', 'vda', at('other.qcow2'), '--shallow');
    expect(other.code).toBe(3);
    expect(other.err).toContain(at('held.qcow2'));
  });

  it('is given up by abort, which removes the copy and is exit code 0', async () => {
    const said = await inProcess(where, 'abort', 'testvm', '--json');
    const back = { outcome: 'back', exitCode: 0, runsOn: active, leftovers: [], error: null };
    expect(lastLine(said)).toMatchObject(back);
    expect(await readdir(host.imagesDir)).not.toContain('held.qcow2');
  });

  it('is kept as a copy by abort --keep', async () => {
    await inProcess(where, 'move', 'testvm', 'vda', at('kept.qcow2'), '--flatten', '--hold');
    const said = await inProcess(where, 'abort', 'testvm', 'vda', '--keep', '--json');
    expect(lastLine(said)).toMatchObject({ outcome: 'kept', exitCode: 0, runsOn: active });
    await run(['qemu-img', 'check', at('kept.qcow2')]);
    expect(await imagesOf('testvm')).toEqual([active, active]);
  });

  it('is finished by pivot', async () => {
    await inProcess(where, 'move', 'testvm', 'vda', at('pivoted.qcow2'), '--shallow', '--hold');
    const said = await inProcess(where, 'pivot', 'testvm', '--json');
    expect(lastLine(said)).toMatchObject({ outcome: 'moved', exitCode: 0, runsOn: at('pivoted.qcow2') });
    active = at('pivoted.qcow2');
    expect(await imagesOf('testvm')).toEqual([active, active]);
  });
});

describe('Ctrl-C', () => {
  it('stops cleanly, says how to go on, and resume goes on', async () => {
    const copy = at('stopped.qcow2');
    const move = start(where, 'move', 'testvm', 'vda', copy, '--flatten', '--bandwidth', '1M', '--json');
    await until('progress', async () => (move.said.out.includes('"type":"progress"') ? true : undefined));
    move.process.kill('SIGINT');
    const said = await move.ended;
    expect(said.code).toBe(4);
    expect(lastLine(said)).toMatchObject({ outcome: 'stopped', exitCode: 4, runsOn: active });
    expect(JSON.stringify(lastLine(said))).toContain('resume testvm');
    await inProcess(where, 'bandwidth', 'testvm', '0');
    expect(lastLine(await inProcess(where, 'resume', 'testvm', '--json'))).toMatchObject({
      outcome: 'moved',
    });
    active = copy;
    expect(await imagesOf('testvm')).toEqual([active, active]);
  });

  it('twice ends at once, and abort undoes', async () => {
    const copy = at('twice.qcow2');
    const move = start(where, 'move', 'testvm', 'vda', copy, '--bandwidth', '1M');
    await until('progress', async () => (/copying .*%/.test(move.said.err) ? true : undefined));
    move.process.kill('SIGSTOP');
    move.process.kill('SIGINT');
    move.process.kill('SIGTERM');
    move.process.kill('SIGCONT');
    expect((await move.ended).code).toBe(4);
    expect((await inProcess(where, 'abort', 'testvm')).code).toBe(0);
    expect(await readdir(host.imagesDir)).not.toContain('twice.qcow2');
  });
});

describe('move --delete-source', () => {
  it('asks first, and touches nothing on a no', async () => {
    const argv = ['move', 'testvm', 'vda', at('asked.qcow2'), '--delete-source'];
    const said = await withAnswer(where, 'n', ...argv);
    expect(said.code).toBe(3);
    expect(said.err).toContain(`${active} will be deleted`);
    expect(await readdir(host.imagesDir)).not.toContain('asked.qcow2');
    expect(await imagesOf('testvm')).toEqual([active, active]);
  });

  it('deletes the source once the guest has left it', async () => {
    const source = active;
    active = at('asked.qcow2');
    const said = await withAnswer(where, 'y', 'move', 'testvm', 'vda', active, '--delete-source');
    expect(said).toMatchObject({ code: 0, out: expect.not.stringContaining('source kept') as string });
    expect(await imagesOf('testvm')).toEqual([active, active]);
    expect(await readdir(host.imagesDir)).not.toContain(basename(source));
  });
});

describe('a reader that goes away', () => {
  it('does not stop the move', async () => {
    const copy = at('unread.qcow2');
    const move = start(where, 'move', 'testvm', 'vda', copy, '--json');
    move.process.stdout?.destroy();
    expect((await move.ended).code).toBe(0);
    active = copy;
    expect(await imagesOf('testvm')).toEqual([active, active]);
  });
});

describe('resume', () => {
  it('has nothing to do when no move is open, and that is no failure', async () => {
    expect(await inProcess(where, 'resume', 'testvm')).toMatchObject({ code: 0 });
    expect(lastLine(await inProcess(where, 'resume', '--all', '--json'))).toMatchObject({
      outcome: 'nothing',
    });
  });
});

describe('cleanup', () => {
  it('leaves an open move alone, and removes what it left once the domain is gone', async () => {
    const copy = at('orphan.qcow2');
    await inProcess(where, 'move', 'testvm', 'vda', copy, '--hold');
    const kept = await inProcess(where, 'cleanup', copy, '--yes', '--json');
    expect(jsonLines(kept)[0]).toMatchObject({ type: 'leftover', verdict: 'keep', removed: [] });
    expect(await readdir(host.imagesDir)).toContain('orphan.qcow2');
    // A record that cannot be read hides no other.
    await startIdle(host, {
      name: 'newer',
      disks: [{ target: 'vda', path: at('none'), format: 'qcow2' }],
      as: 'off',
    });
    const record = ['--uri', 'urn:blockferry:move:1:vda', '--key', 'bf', '--set', '<move>{}</move>'];
    await host.virsh('metadata', 'newer', ...record);
    const status = await inProcess(where, 'status');
    expect(status).toMatchObject({ code: 1, out: expect.stringContaining('testvm vda: ready, held') });
    expect(status.err).toContain('the record of vda of newer cannot be read');
    await removeIdle(host, 'newer');
    await guest.stop();
    await host.virsh('undefine', 'testvm');
    const unasked = await inProcess(where, 'cleanup', relative(process.cwd(), host.imagesDir));
    expect(unasked.code).toBe(2);
    const domain = await inProcess(where, 'cleanup', 'docs');
    expect(domain.out).toMatch(/there is no domain docs.*: blockferry .* cleanup \.\/docs\n$/);
    expect(await readdir(host.imagesDir)).toContain('orphan.qcow2');
    const said = await inProcess(where, 'cleanup', host.imagesDir, '--yes', '--json');
    expect(jsonLines(said)[0]).toMatchObject({ type: 'leftover', verdict: 'remove-copy' });
    const left = await readdir(host.imagesDir);
    expect(left.filter((name) => name.includes('orphan'))).toEqual([]);
    expect(await readdir(where.stateDirectory)).toEqual([]);
  });

  it('was the last of many moves, and no acknowledged write was lost', async () => {
    const { lost } = await verifyAcknowledged({ path: active, format: 'qcow2' }, await guest.acknowledged());
    expect(lost).toEqual([]);
  });
});
