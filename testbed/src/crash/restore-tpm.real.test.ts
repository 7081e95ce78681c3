// blockferry killed with SIGKILL after every step of a restore over a domain with a TPM: the state of it is the old one, whole,
// until the domain is defined on what was restored, and the same command makes it the one of then.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, it } from 'vitest';
import { type LibvirtHost, startLibvirtHost } from '../libvirt-host/host.ts';
import { startIdle } from '../move/idle-domain.ts';
import { type Sshd, startSshd } from '../network/sshd.ts';
import { run } from '../process/run.ts';
import { ends } from './endings.ts';
import { type Halt, startFerry } from './ferry.ts';

/** Where something else stands; all of them: BLOCKFERRY_SWEEP=all. */
const TELLING = ['define', 'place-tpm'];

let host: LibvirtHost;
let sshd: Sshd;
beforeAll(async () => {
  host = await startLibvirtHost();
  sshd = await startSshd(host);
});
afterAll(async () => {
  await sshd.stop();
  await host.stop();
});

const inHost = async (script: string, ...args: readonly string[]) =>
  (await host.inNamespace(['sh', '-c', script, 'sh', ...args])).stdout;

/** Over ssh: the state is where only the host's own programs see it. */
function ferry(argv: readonly string[], halt?: Halt) {
  const { port, keyfile, command } = sshd;
  const uri = `qemu+ssh://root@127.0.0.1:${port}/system?keyfile=${keyfile}&no_tty=1&command=${command}`;
  const stateDirectory = join(host.directory, 'state');
  return startFerry(argv, { uri, stateDirectory, ...(halt && { halt }) });
}

it('the same command puts it in its place, whichever step it died after', async () => {
  const path = join(host.imagesDir, 'disk');
  const directory = join(host.imagesDir, 'backups');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', path, '16M']);
  await startIdle(host, {
    name: 'vm',
    disks: [{ target: 'vda', path, format: 'qcow2' }],
    extraDevices: "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>",
  });
  const state = `/var/lib/libvirt/swtpm/${(await host.virsh('domuuid', 'vm')).trim()}`;
  const holds = () =>
    inHost('cd "$1" && find . -type f -exec stat -c "%U:%G %a %n" {} + -exec sha256sum {} + | sort', state);
  await host.virsh('destroy', 'vm');
  await ends(ferry(['backup', 'vm', directory]), 'done');
  const stored = await holds();
  const restore = (halt?: Halt) => ferry(['restore', directory, '--over'], halt);
  const course = restore();
  await ends(course, 'done');
  const steps = course.passed('step-done');
  assert.deepEqual(
    TELLING.filter((step) => !steps.includes(step)),
    [],
  );
  for (const step of process.env.BLOCKFERRY_SWEEP === 'all' ? steps : TELLING) {
    // As time goes on: other bytes, and a file that is not in the backup.
    await inHost('cd "$1/tpm2" && printf x >>tpm2-00.permall && touch later && chown tss:tss *', state);
    const before = await holds();
    await restore({ at: 'step-done', name: step }).diedAfter(step);
    const isPlaced = step === 'place-tpm' || step === 'close';
    assert.equal(await holds(), isPlaced ? stored : before, `killed after ${step}`);
    await ends(restore(), 'done');
    assert.equal(await holds(), stored, `after ${step}`);
    assert.equal(await inHost('ls "$1/.." | wc -l', state), '1\n', `after ${step}: no other state is left`);
    const left = (await readdir(host.imagesDir)).filter((name) => name.startsWith('.'));
    assert.deepEqual(left, [], `after ${step}`);
    await host.virsh('start', '--paused', 'vm');
    await host.virsh('destroy', 'vm');
  }
}, 600_000);
