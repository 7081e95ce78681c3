// The state of an emulated TPM, as libvirt's swtpm has it, in a backup and out of it. The tools run inside the host, for
// there that state is.
import { execFileSync } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Host, sshHost } from '@blockferry/qemu';
import {
  backUp,
  checkAll,
  type LibvirtHost,
  Mover,
  removeIdle,
  run,
  type Sshd,
  startIdle,
  startLibvirtHost,
  startSshd,
} from '@blockferry/testbed';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  type BackupRequest,
  finishedBefore,
  preflightBackup,
  preflightRestore,
  type Refusal,
  type RestoreRequest,
  type RestoreStep,
  restore,
} from '../index.ts';
import { writeRestoreJournal } from '../restore/journal.ts';

let host: LibvirtHost;
let sshd: Sshd;
let tools: Host;
let mover: Mover;
let directory: string;
let point: string;
/** Of vm, in the host. */
let state: string;
/** What it was when it was backed up: each file with its sum, owner and mode. */
let stored: string;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  sshd = await startSshd(host);
  const { port, keyfile, command } = sshd;
  tools = sshHost({ host: '127.0.0.1', user: 'root', port, keyfile, command, noTty: true });
  mover = new Mover(host, { tools });
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('disk'), '16M']);
  await startWithTpm('vm');
  directory = at('backup');
  state = await stateOf('vm');
  const { outcome, record, manifest } = await backUp(mover.context, { domain: 'vm', directory });
  expect(outcome).toEqual({ kind: 'done' });
  expect(manifest?.tpm).toBe('tpm.tar');
  point = record.point;
  stored = await holds(state);
  expect(stored).toContain('tss:tss 600 ./tpm2/tpm2-00.permall');
  await host.virsh('destroy', 'vm');
});
afterAll(async () => {
  await mover.close();
  await tools.close();
  await sshd.stop();
  await host.stop();
});
// As time goes on: other bytes, and a file that is not in the backup.
beforeEach(async () => {
  await inHost('cd "$1/tpm2" && echo spoilt >tpm2-00.permall && touch later && chown tss:tss *', state);
});

const EMULATED = "<backend type='emulator' version='2.0'/>";
const startWithTpm = (name: string, backend = EMULATED, as?: 'off') =>
  startIdle(host, {
    ...(as && { as }),
    name,
    disks: [{ target: 'vda', path: at('disk'), format: 'qcow2' }],
    extraDevices: `<tpm model='tpm-crb'>${backend}</tpm>`,
  });
const inHost = async (script: string, ...args: readonly string[]) =>
  (await host.inNamespace(['sh', '-c', script, 'sh', ...args])).stdout;
const holds = (path: string) =>
  inHost('cd "$1" && find . -type f -exec stat -c "%U:%G %a %n" {} + -exec sha256sum {} + | sort', path);
const stateOf = async (domain: string) =>
  `/var/lib/libvirt/swtpm/${(await host.virsh('domuuid', domain)).trim()}`;
const states = async () => (await inHost('ls /var/lib/libvirt/swtpm')).trim().split('\n');
const restored = (request: Partial<RestoreRequest>, afterStep?: (step: RestoreStep) => void) =>
  restore(
    mover.context,
    { directory, as: { kind: 'over' }, ...request },
    { signal: AbortSignal.timeout(60_000), report: () => {}, ...(afterStep && { afterStep }) },
  );
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'not refused',
    ({ code }: Refusal) => code,
  );
const backupOf = (domain: string): BackupRequest => ({
  ...{ domain, directory: at('none'), disks: [], kind: 'full', quiesce: 'off', checkpoint: false },
  copying: { flatten: false, compressed: false, verify: true },
});

test('restored as another domain: the state is in a directory of its own, and that domain starts with it', async () => {
  const { uuid, plan } = await restored({ as: { kind: 'new', name: 'other' } });
  expect(plan.uuid).toBe(uuid);
  const own = await stateOf('other');
  expect(own).not.toBe(state);
  expect(await holds(own)).toBe(stored);
  await host.virsh('start', '--paused', 'other');
  await host.virsh('destroy', 'other');
  expect(await holds(own)).toBe(stored);
  await removeIdle(host, 'other');
});

test('restored over the domain: what it held before is kept in an archive, and it starts with what it held then', async () => {
  const before = await holds(state);
  await expect(host.virsh('start', '--paused', 'vm')).rejects.toThrow();
  const { plan } = await restored({});
  expect(await holds(state)).toBe(stored);
  if (plan.tpm?.kind !== 'replaced') throw new Error('nothing was there');
  await mkdir(at('kept'));
  await run(['tar', '-xpf', plan.tpm.kept, '-C', at('kept')]);
  expect(await holds(at('kept'))).toBe(before);
  expect(await states()).toEqual([state.split('/').at(-1)]);
  await host.virsh('start', '--paused', 'vm');
  await host.virsh('destroy', 'vm');
  expect(await holds(state)).toBe(stored);
});

test('undone it leaves the state that was there, and nothing else', async () => {
  const [before, files] = [await holds(state), await readdir(host.imagesDir)];
  const asked = [
    { as: { kind: 'over' }, step: 'compare' },
    { as: { kind: 'new', name: 'other' }, step: 'fill' },
  ] as const;
  for (const { as, step } of asked) {
    const died = restored({ as }, (at) => {
      if (at === step) throw new Error('died');
    });
    await expect(died).rejects.toThrow('died');
    expect(await holds(state)).toBe(before);
    expect(await states()).toEqual([state.split('/').at(-1)]);
    expect(await readdir(host.imagesDir)).toEqual(files);
  }
});

test('a domain that is started before the state is in its place keeps the one that it runs with; asked again when it is off, it is placed', async () => {
  await inHost('tar -xpf "$1" -C "$2"', join(directory, point, 'tpm.tar'), state);
  const start = ['-c', host.uri, 'start', '--paused', 'vm'];
  const request: RestoreRequest = { directory, as: { kind: 'over' } };
  const started = restored(request, (step) => {
    if (step === 'define') execFileSync('virsh', start);
  });
  expect(await codeOf(started)).toBe('domain-runs');
  expect(await codeOf(finishedBefore(mover.context, request))).toBe('domain-runs');
  expect(await holds(state)).toContain('tpm2/later');
  await host.virsh('destroy', 'vm');
  // Half of the way there, as a crash leaves it.
  await inHost(
    'cd "$1".blockferry-*/tpm2 && ln -f tpm2-00.permall "$1/tpm2" && ln .lock "$1/tpm2/.incoming"',
    state,
  );
  expect((await finishedBefore(mover.context, request))?.plan.name).toBe('vm');
  expect(await holds(state)).toBe(stored);
  expect(await states()).toEqual([state.split('/').at(-1)]);
});

test('a state that no domain has is not replaced, unless we died when we had made it', async () => {
  await removeIdle(host, 'vm');
  const request: RestoreRequest = { directory, as: { kind: 'original' } };
  await inHost('mkdir -p "$1/tpm2"', state);
  expect(await codeOf(restored(request))).toBe('tpm-state-exists');
  await inHost('rm -r "$1"', state);
  const { plan } = await preflightRestore(mover.context, request);
  await writeRestoreJournal(tools, { plan, files: {} });
  await inHost('mkdir "$1"', state);
  await restored(request);
  expect(await holds(state)).toBe(stored);
});

test('an archive that was changed is found, and not restored', async () => {
  const file = join(directory, point, 'tpm.tar');
  await run([
    'sh',
    '-c',
    'cp "$1" "$2"; printf x | dd of="$1" bs=1 seek=2000 conv=notrunc',
    'sh',
    file,
    at('good'),
  ]);
  expect(await checkAll(tools, directory)).toMatchObject([
    { problems: [expect.stringContaining('tpm.tar holds other bytes')] },
  ]);
  expect(await codeOf(restored({}))).toBe('point-broken');
  await run(['cp', at('good'), file]);
});

test.each([
  ['was never used', EMULATED],
  ["is the host's", "<backend type='passthrough'><device path='/dev/tpm0'/></backend>"],
])('what is not in the backup is said: of a TPM that %s', async (_, backend) => {
  await startWithTpm('other', backend, 'off');
  const { record, warnings } = await preflightBackup(mover.context, backupOf('other'));
  expect([record.tpm, warnings.map(({ code }) => code)]).toEqual([undefined, ['tpm-left-out']]);
  await removeIdle(host, 'other');
});
