// Libvirt's own client as the judge: the ssh it calls, the name it asks for, the URIs it refuses.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConnectionUri, serverName } from './connection-uri.ts';
import { ConnectionUriError } from './errors.ts';
import { sshPlan } from './ssh-command.ts';

let directory: string;
let recorder: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'uri-judge-'));
  recorder = join(directory, 'ssh');
  await writeFile(recorder, `#!/bin/sh\nprintf '%s\\0' "$@" > ${directory}/argv\n`, { mode: 0o755 });
});
afterAll(() => rm(directory, { recursive: true }));

/** The arguments with which virsh calls ssh for this URI. */
async function argvOfVirsh(uri: string): Promise<string[]> {
  await rm(join(directory, 'argv'), { force: true });
  // It fails in any case, now and then by SIGPIPE.
  await run(['sh', '-c', 'virsh -c "$0" version || true', uri]);
  return (await readFile(join(directory, 'argv'), 'utf8')).split('\0').slice(0, -1);
}

/** `rest` is the URI behind its transport, with a query begun. */
const uriOf = (rest: string): string => `${rest}&command=${recorder}`;

describe('like virsh', () => {
  it.each([
    'qemu+ssh://h/system?x=1',
    'qemu+ssh:///system?x=1',
    'qemu+ssh://[::1]:22/system?x=1',
    'qemu+ssh://h:0/system?x=1',
    'qemu+ssh://-oX/system?x=1',
    'qemu+ssh://us%40er@h:2222/system?keyfile=/k%20x&no_verify=1&no_tty=1',
    'qemu+ssh://h/system?no_verify=0&no_tty=0&keyfile=/a&keyfile=/b',
    'QEMU+SSH://h/system?KEYFILE=/k',
  ])('ssh is called for %s, but for the script', async (rest) => {
    const ours = sshPlan(parseConnectionUri(uriOf(rest)), false).argv;
    expect(ours.slice(1, -1)).toEqual((await argvOfVirsh(uriOf(rest))).slice(0, -1));
  });

  it.each([
    'qemu+ssh://h/system?a=1',
    'qemu+ssh://h/system?flag&empty=&b=1;c=2&d=3',
    'qemu+ssh://h/session?foo=b%20ar+x&q=a/b:c%27d~e.f-g_h!i*j(k)',
    'qemu+ssh://h/sys%20tem?mode=auto&no_sanity=1&auth=x&authfile=/y&tls_priority=z&sshauth=q&known_hosts=/k',
    'qemu+ssh://h/system?name=qemu:///other',
    'remote+ssh://h/system?a=1',
    'qemu+ssh://h?a=1',
  ])('the daemon is asked for the same as with %s', async (rest) => {
    const uri = `${uriOf(rest)}&proxy=native`;
    const script = (await argvOfVirsh(uri)).at(-1) ?? '';
    // What a shell makes of virsh's own quoting is what the far side would see.
    const shell = `virt-ssh-helper() { printf %s "$1"; }; ${script.replace(/^sh -c '(.*)'$/s, '$1').replaceAll(`'\\''`, `'`)}`;
    const asked = (await run(['bash', '--norc', '-c', shell])).stdout;
    expect(serverName(parseConnectionUri(uri))).toBe(asked);
  });

  it.each([
    'qemu+ssh://h:/system?x=1',
    'qemu+pigeon://h/system?x=1',
    'qemu+unix://h/system?x=1',
    'qemu+ssh://h/system?no_verify=yes',
    'qemu+ssh://h/system?proxy=pigeon',
    'qemu+ssh://h/system?x=a b',
    'qemu+ssh://h/é?x=1',
  ])('%s is refused', async (rest) => {
    await expect(argvOfVirsh(uriOf(rest))).rejects.toThrow('ENOENT');
    expect(() => sshPlan(parseConnectionUri(uriOf(rest)), false)).toThrow(ConnectionUriError);
  });
});
