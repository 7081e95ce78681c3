// `npm run demo`: the scenario of live disk migration, on a real VM of its own, told step by step.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Guest, guestWriter, startGuest } from '../guest/guest.ts';
import { type VerifiedImage, verifyAcknowledged } from '../guest/verify.ts';
import { writerRegion } from '../images/chain.ts';
import { makeFileSystem, putFile } from '../images/files.ts';
import { type LibvirtHost, startLibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';
import { command, fail, note, say, shown } from './narrate.ts';

const SIZE = 1024n * 1024n * 1024n;
const blockferry = fileURLToPath(new URL('../../../bin/blockferry', import.meta.url));

/** Runs our command line as a user would, its output straight on the terminal. */
async function ferry(host: LibvirtHost, state: string, ...args: readonly string[]): Promise<void> {
  command('blockferry', ...args);
  const env = { ...process.env, LIBVIRT_DEFAULT_URI: host.uri, BLOCKFERRY_STATE_DIR: state };
  const child = spawn(blockferry, args, { stdio: ['ignore', 'inherit', 'inherit'], env });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) fail(`blockferry ${args[0]} ended with exit code ${code}`);
}

async function virsh(host: LibvirtHost, ...args: readonly string[]): Promise<string> {
  command('virsh', ...args);
  return shown(await host.virsh(...args));
}

async function makeImages(directory: string): Promise<void> {
  say('Three images, each on top of the one before: base <- snap1 <- snap2, with a file in each');
  const layers = [
    { name: 'base', file: '/foo' },
    { name: 'snap1', file: '/bar' },
    { name: 'snap2', file: '/baz' },
  ];
  let below: string | undefined;
  for (const { name, file } of layers) {
    const path = join(directory, `${name}.qcow2`);
    const backing = below === undefined ? [path, '1G'] : ['-b', below, '-F', 'qcow2', path];
    const create = ['qemu-img', 'create', '-q', '-f', 'qcow2', ...backing];
    command(...create);
    await run(create);
    const image = { path, format: 'qcow2' as const };
    if (below === undefined) {
      await makeFileSystem(image, writerRegion(SIZE).offset);
      note('a partition with ext4');
    }
    await putFile(image, file, `put into ${name}\n`);
    note(`${file} is put into it`);
    below = path;
  }
}

async function startVm(host: LibvirtHost): Promise<Guest> {
  say('A domain whose disk vda is snap2, defined and started; the guest writes and flushes all the time');
  command('virsh', 'define', 'testvm.xml', '&&', 'virsh', 'start', 'testvm');
  const guest = await startGuest(host, {
    name: 'testvm',
    disks: [{ target: 'vda', path: join(host.imagesDir, 'snap2.qcow2'), format: 'qcow2' }],
    writers: [guestWriter('vda', writerRegion(SIZE))],
  });
  await guest.waitForWrites(100);
  note(`it is up and has flushed ${(await guest.acknowledged()).highestSeq} blocks`);
  return guest;
}

/** One move of the disk while the guest writes, and what the guest itself says of it. */
async function moveWhileWriting(
  host: LibvirtHost,
  state: string,
  guest: Guest,
  to: string,
  scope: string,
): Promise<void> {
  const mark = await guest.mark();
  await ferry(host, state, 'move', 'testvm', 'vda', to, scope);
  await guest.waitForWrites(100);
  const { writes, longestGapMs } = await guest.stats(mark);
  note(
    `the guest flushed ${writes} blocks meanwhile; its longest wait between two was ${longestGapMs.toFixed(0)} ms`,
  );
  await virsh(host, 'domblklist', 'testvm');
  say('The persistent definition tells the same, so the next boot uses the right disk');
  const inactive = await virsh(host, 'domblklist', '--inactive', 'testvm');
  if (!inactive.includes(to)) fail(`the persistent definition does not name ${to}`);
}

async function proveNothingLost(guest: Guest, image: VerifiedImage): Promise<void> {
  say('The guest is switched off. Is every block that it was told is flushed on the disk it ended on?');
  await guest.stop();
  const { checked, lost } = await verifyAcknowledged(image, await guest.acknowledged());
  note(`${checked} blocks checked: ${lost.length} acknowledged writes lost`);
  if (lost.length > 0) fail(JSON.stringify(lost[0]));
}

async function lookInside(path: string): Promise<void> {
  say('What is in the copy? (guestfish boots a small VM of its own for this: about 20 s)');
  const script = ['run', ':', 'mount', '/dev/sda1', '/', ':', 'ls', '/'];
  const argv = ['guestfish', '--ro', '--format=qcow2', '-a', path, ...script];
  command(...argv);
  const env = { LIBGUESTFS_BACKEND: 'direct', LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' };
  const listing = shown(
    (await run(['env', ...Object.entries(env).map(([k, v]) => `${k}=${v}`), ...argv], { timeoutMs: 180_000 }))
      .stdout,
  );
  for (const file of ['foo', 'bar', 'baz']) {
    if (!listing.split('\n').includes(file)) fail(`/${file} is missing in the copy`);
  }
}

async function main(): Promise<void> {
  const began = performance.now();
  const state = await mkdtemp('/var/tmp/blockferry-demo-');
  try {
    await using host = await startLibvirtHost();
    const copy = join(host.imagesDir, 'copy.qcow2');
    const flat = join(host.imagesDir, 'flat.qcow2');
    await makeImages(host.imagesDir);
    const guest = await startVm(host);
    say('The chain before');
    await ferry(host, state, 'chain', 'testvm', 'vda');
    say('The move: the active image alone, the rest of the chain shared, while the guest writes');
    await moveWhileWriting(host, state, guest, copy, '--shallow');
    say('The chain after');
    await ferry(host, state, 'chain', 'testvm', 'vda');
    say('Once more, now the whole chain made into one image');
    await moveWhileWriting(host, state, guest, flat, '--flatten');
    await ferry(host, state, 'chain', 'testvm', 'vda');
    await proveNothingLost(guest, { path: flat, format: 'qcow2' });
    await lookInside(flat);
    say(
      `Done in ${((performance.now() - began) / 1000).toFixed(0)} s. Nothing of it is left on this machine.`,
    );
  } finally {
    await rm(state, { recursive: true, force: true });
  }
}

await main();
