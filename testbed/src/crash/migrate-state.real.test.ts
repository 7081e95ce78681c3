// blockferry killed with SIGKILL after every step of the migration of a domain that is off, with a TPM and NVRAM: what it keeps
// beside its disks is whole on the side where it is, and on the other there is nothing that nobody tells of.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, it } from 'vitest';
import { type LibvirtHost, startLibvirtHost } from '../libvirt-host/host.ts';
import { writeCountingFirmware } from '../move/counting-firmware.ts';
import { startIdle } from '../move/idle-domain.ts';
import { type Sshd, startSshd } from '../network/sshd.ts';
import { run } from '../process/run.ts';
import { ends } from './endings.ts';
import { type Halt, startFerry } from './ferry.ts';

type Way = 'resume' | 'abort';

/** Where something else stands; all of them, by both ways out: BLOCKFERRY_SWEEP=all. */
const TELLING: readonly (readonly [string, Way])[] = [
  ['bring-state:made-nvram', 'abort'],
  ['bring-state:filled-nvram', 'resume'],
];

type Side = { readonly host: LibvirtHost; readonly sshd: Sshd };

let home: Side;
let away: Side;
let stateDirectory: string;
beforeAll(async () => {
  const [one, two] = ['bf-one', 'bf-two'].map(async (name) => {
    const host = await startLibvirtHost({ name });
    return { host, sshd: await startSshd(host) };
  });
  assert.ok(one !== undefined && two !== undefined);
  [home, away] = [await one, await two];
  stateDirectory = await mkdtemp(join(tmpdir(), 'bf-state-'));
});
afterAll(async () => {
  await Promise.all([home, away].map(({ sshd }) => sshd.stop()));
  await Promise.all([home, away].map(({ host }) => host.stop()));
  await rm(stateDirectory, { recursive: true, force: true });
});

const STATES = '/var/lib/libvirt/qemu/nvram /var/lib/libvirt/swtpm';
/** Every file and directory there that is kept beside a disk, with owner, mode and contents. */
const holds = async ({ host }: Side) => {
  const script = `for each in ${STATES}; do
    [ -d "$each" ] && find "$each" -mindepth 1 -exec stat -c "%U:%G %a %F %n" {} + -exec sha256sum {} + ; done 2>/dev/null | LC_ALL=C sort`;
  return (await host.inNamespace(['sh', '-c', script])).stdout;
};

/** Over ssh: what is beside the disks is where only the host's own programs see it. */
const uriOf = ({ sshd: { port, keyfile, command } }: Side) =>
  `qemu+ssh://root@127.0.0.1:${port}/system?keyfile=${keyfile}&no_tty=1&command=${command}`;
const ferry = (argv: readonly string[], halt?: Halt) =>
  startFerry(argv, { uri: uriOf(home), stateDirectory, ...(halt && { halt }) });
const migrate = (halt?: Halt) =>
  ferry(['migrate', 'vm', uriOf(away), '--offline', '--dest-dir', away.host.imagesDir], halt);

const isKnown = async ({ host }: Side) => (await host.virsh('list', '--all', '--name')).trim() === 'vm';
const images = ({ host }: Side) => readdir(host.imagesDir);
const notes = async () => (await readdir(stateDirectory)).filter((name) => !name.endsWith('.left'));

/** It is there alone, with what it had; the other side has what a domain leaves, and then none of it. */
async function crossed(what: string, had: string): Promise<void> {
  assert.equal(await holds(away), had, `${what}: at the destination`);
  assert.deepEqual([await isKnown(home), await isKnown(away)], [false, true], what);
  const nvram = had.split('\n').filter((line) => line.includes('nvram'));
  assert.deepEqual(
    (await holds(home)).trim().split('\n'),
    nvram,
    `${what}: NVRAM stays, the TPM's state goes`,
  );
  assert.deepEqual([await images(away), await notes()], [['disk'], []], what);
  await ends(ferry(['cleanup', 'vm', '--delete-source', '--yes']), 'done');
  assert.deepEqual([await holds(home), await images(home)], ['', []], `${what}: when it is asked for`);
  [home, away] = [away, home];
}

async function isBack(what: string, had: string): Promise<void> {
  assert.deepEqual([await holds(home), await holds(away)], [had, ''], what);
  assert.deepEqual([await isKnown(home), await isKnown(away)], [true, false], what);
  assert.deepEqual([await images(home), await images(away), await notes()], [['disk'], [], []], what);
}

it('what a domain keeps beside its disks is whole at home or away, whichever step it died after', async () => {
  const code = join(home.host.directory, 'code.fd');
  await writeCountingFirmware(code);
  const path = join(home.host.imagesDir, 'disk');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', path, '16M']);
  await startIdle(home.host, {
    name: 'vm',
    disks: [{ target: 'vda', path, format: 'qcow2' }],
    firmware: { code, nvram: '/var/lib/libvirt/qemu/nvram/vm_VARS.fd' },
    extraDevices: "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>",
  });
  await home.host.virsh('resume', 'vm');
  await home.host.virsh('destroy', 'vm');
  const had = await holds(home);
  for (const name of ['tpm2-00.permall', 'vm_VARS.fd']) assert.ok(had.includes(name), had);
  const course = migrate();
  await ends(course, 'migrated');
  await crossed('undisturbed', had);
  const steps = course.passed('step-done');
  // When it is to be defined there, nobody goes back.
  const last = steps.indexOf('define-away');
  const all = steps
    .slice(0, -1)
    .flatMap((name, at) => [[name, 'resume'] as const, ...(at < last ? [[name, 'abort'] as const] : [])]);
  assert.deepEqual(
    TELLING.filter(([name]) => !steps.includes(name)),
    [],
    steps.join(),
  );
  for (const [name, way] of process.env.BLOCKFERRY_SWEEP === 'all' ? all : TELLING) {
    await migrate({ at: 'step-done', name }).diedAfter(name);
    const what = `${way} after ${name}`;
    if (way === 'resume') await ends(ferry(['resume', 'vm']), 'migrated');
    else await ends(ferry(['abort', 'vm']), 'back');
    await (way === 'resume' ? crossed : isBack)(what, had);
  }
}, 600_000);
