// Chains made shorter while their guest writes, and with it off: the guest reads what it read, nothing that it saw flushed
// is lost, and the files that nobody needs any more are those that are named.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  agree,
  type Guest,
  guestWriter,
  type LibvirtHost,
  makeChain,
  readTextFile,
  readTexts,
  run,
  startGuest,
  startLibvirtHost,
  until,
  verifyAcknowledged,
  verifyWhilePaused,
} from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inProcess, jsonLines, lastLine, type Said, start, type Where } from '../test/command.ts';

const mebibyte = 1024n * 1024n;

let host: LibvirtHost;
let where: Where;
let guest: Guest;
/** The chain as it is, top first. */
let now: string[];
let made = 0;
const at = (name: string) => join(host.imagesDir, `${name}.qcow2`);

beforeAll(async () => {
  host = await startLibvirtHost();
  where = { uri: host.uri, stateDirectory: join(host.directory, 'state') };
  const chain = await makeChain(host.imagesDir, ['base', 'snap1', 'snap2'], {
    files: { base: { '/foo': 'x' }, snap1: { '/bar': 'y' }, snap2: { '/baz': 'z' } },
    fill: 2n * mebibyte,
  });
  guest = await startGuest(host, {
    name: 'vm',
    disks: [{ target: 'vda', ...chain.top }],
    writers: [guestWriter('vda', { ...chain.region, length: mebibyte }, { rate: 200 })],
  });
  now = ['snap2', 'snap1', 'base'].map(at);
});
afterAll(() => host?.stop());

const blockferry = async (...argv: string[]): Promise<Said> => {
  const said = await inProcess(where, ...argv);
  expect(said.code, `${argv.join(' ')}: ${said.out}${said.err}`).toBe(0);
  return said;
};

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

/** One more external snapshot, and time for the guest to fill it. */
async function grow(): Promise<string> {
  made += 1;
  const overlay = at(`over${made}`);
  const disk = ['--diskspec', `vda,file=${overlay}`];
  await host.virsh('snapshot-create-as', 'vm', '--disk-only', '--no-metadata', ...disk);
  await guest.waitForWrites(100);
  now = [overlay, ...now];
  return overlay;
}

/** By what the headers say. */
async function chainOf(top: string): Promise<string[]> {
  const { stdout } = await run(['qemu-img', 'info', '-U', '--backing-chain', top]);
  return [...stdout.matchAll(/^image: (.*)$/gm)].map(([, path = '']) => path);
}

/** The chain is this one by every account, and shows all that the guest wrote. */
async function expectChain(chain: readonly string[]): Promise<void> {
  const [top = ''] = chain;
  now = [...chain];
  const texts = await readTexts(host, 'vm');
  expect(agree('vda', texts)).toBe(true);
  expect(texts.live).not.toContain('urn:blockferry');
  expect(await chainOf(top)).toEqual(chain);
  const image = { path: top, format: 'qcow2' } as const;
  const isOff = (await host.virsh('domstate', 'vm')).includes('off');
  if (!isOff) await guest.waitForWrites(30);
  const verified = isOff
    ? await verifyAcknowledged(image, await guest.acknowledged())
    : await verifyWhilePaused(guest, image);
  expect(verified.lost).toEqual([]);
  expect(verified.checked).toBeGreaterThan(0);
}

describe('of a running domain', () => {
  it('an image from the middle is committed into the one below it, and the guest stays where it is', async () => {
    const { out } = await blockferry('commit', 'vm', 'vda', '--top', at('snap1'), '--base', at('base'));
    expect(out).toContain(`committed: vm vda, from ${at('snap1')} down into ${at('base')}`);
    expect(out).toContain(`no longer in the chain: ${at('snap1')}`);
    await expectChain([at('snap2'), at('base')]);
    expect(await exists(at('snap1'))).toBe(true);
  });

  it('the active image is committed into the one below it, and deleted when that is wanted', async () => {
    const [first, second] = [await grow(), await grow()];
    const said = await blockferry('commit', 'vm', 'vda', '--shallow', '--delete', '--json');
    expect(lastLine(said)).toMatchObject({
      outcome: 'committed',
      exitCode: 0,
      strategy: 'commit',
      source: second,
      destination: first,
      runsOn: first,
      sourcesKept: [],
      sourcesDeleted: [second],
    });
    const steps = jsonLines(said).flatMap(({ type, step }) => (type === 'step' ? [step] : []));
    expect(steps).toEqual([
      'record',
      'start-job',
      ...['record', 'pivot', 'record'],
      ...['delete-source', 'close'],
    ]);
    await expectChain([first, at('snap2'), at('base')]);
    expect(await exists(second)).toBe(false);
  });

  it('is flattened down to an image that stays, then wholly', async () => {
    const [top = ''] = now;
    await blockferry('flatten', 'vm', 'vda', '--base', at('base'), '--delete', '--yes');
    await expectChain([top, at('base')]);
    expect(await exists(at('snap2'))).toBe(false);
    const { out } = await blockferry('flatten', 'vm', 'vda');
    expect(out).toContain(`flattened: vm vda: ${top} has taken what was below it`);
    await expectChain([top]);
    expect(await exists(at('base'))).toBe(true);
  });

  it('waits before the switch with --hold; pivot and abort decide, and abort --keep leaves the base as of then', async () => {
    const [top = ''] = now;
    const second = await grow();
    const commit = ['commit', 'vm', 'vda', '--hold'];
    expect((await blockferry(...commit)).out).toMatch(/switch: blockferry .*pivot vm vda/);
    expect((await blockferry('status')).out).toContain(`vm vda: ready, held\n  commit  ${second}`);
    expect((await blockferry('list')).out).toContain(`committing into ${top}, held`);
    expect((await blockferry('abort', 'vm', 'vda')).out).toContain('back: vm vda has its chain as it was');
    await expectChain([second, top]);
    await blockferry(...commit);
    expect((await blockferry('abort', 'vm', 'vda', '--keep')).out).toContain(`kept: ${top} is a copy`);
    await expectChain([second, top]);
    await blockferry(...commit);
    expect((await blockferry('pivot', 'vm', 'vda')).out).toContain(`committed: vm vda`);
    await expectChain([top]);
  });

  it('stopped with Ctrl-C, goes on with the same command', async () => {
    const [top = ''] = now;
    const overlay = await grow();
    const words = ['commit', 'vm', 'vda', '--bandwidth', '100K'];
    const running = start(where, ...words);
    await until(
      'the job',
      async () => (await host.virsh('blockjob', 'vm', 'vda', '--raw')) !== '\n' || undefined,
    );
    running.process.kill('SIGINT');
    expect(await running.ended).toMatchObject({ code: 4 });
    expect((await blockferry('status', 'vm')).out).toContain(`commit  ${overlay}`);
    await blockferry('bandwidth', 'vm', '0');
    expect((await blockferry(...words)).err).toContain(`continuing the commit of vm vda into ${top}`);
    await expectChain([top]);
  });
});

describe('of a domain that is off, by qemu-img', () => {
  it('from the middle, and of the active image, which the definition follows', async () => {
    const [top = ''] = now;
    const [first, second] = [await grow(), await grow()];
    await guest.stop();
    // libvirt has spelled the chain out in the definition, and would go by that.
    expect(await host.virsh('dumpxml', '--inactive', 'vm')).toMatch(/<backingStore type='file'/);
    const { out } = await blockferry('commit', 'vm', 'vda', '--top', first, '--dry-run');
    expect(out).toContain('qemu-img');
    await blockferry('commit', 'vm', 'vda', '--top', first, '--delete');
    await expectChain([second, top]);
    expect(await exists(first)).toBe(false);
    await blockferry('commit', 'vm', 'vda', '--delete');
    await expectChain([top]);
    await guest.start();
    await expectChain([top]);
  });

  it('several at once, and flattened', async () => {
    const [top = ''] = now;
    const [first, second, third] = [await grow(), await grow(), await grow()];
    await guest.stop();
    await blockferry('commit', 'vm', 'vda', '--base', first);
    await expectChain([first, top]);
    expect(await exists(third)).toBe(true);
    const said = await blockferry('flatten', 'vm', 'vda', '--json');
    expect(lastLine(said)).toMatchObject({ outcome: 'flattened', runsOn: null, sourcesKept: [top] });
    await expectChain([first]);
    for (const file of ['/foo', '/bar', '/baz']) {
      expect(await readTextFile({ path: first, format: 'qcow2' }, file)).not.toBe('');
    }
    await guest.start();
    await expectChain([first]);
    expect(await exists(second)).toBe(true);
  });
});
