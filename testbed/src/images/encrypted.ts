// qemu-img for images in LUKS, and their secrets. It measures how fast keys are derived here, and gives up when others take
// its time.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { RunError, type RunResult, run } from '../process/run.ts';

const TOO_BUSY = /Unable to get accurate CPU usage/;
const MOST_TRIES = 20;

/** Runs `qemu-img` with these arguments, and again if the machine was too busy for it. @throws {RunError} */
export async function makeEncrypted(...argv: readonly string[]): Promise<RunResult> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await run(['qemu-img', ...argv]);
    } catch (error) {
      const again = error instanceof RunError && TOO_BUSY.test(error.stderr) && tries < MOST_TRIES;
      if (!again) throw error;
    }
  }
}

/**
 * Deriving a key takes 2 s of CPU time on purpose, whenever an image that QEMU made is opened. Those that blockferry makes
 * are made by the same program, told to want less: it is in the directory that is returned, to be the first of PATH.
 */
export async function quickKeys(host: LibvirtHost): Promise<string> {
  const directory = join(host.directory, 'guest', 'bin');
  await mkdir(directory, { recursive: true });
  const { stdout } = await run(['sh', '-c', 'command -v qemu-img']);
  const script = `#!/bin/bash
args=()
for arg; do
  case $arg in
    encrypt.format=luks,encrypt.key-secret=blockferry-*) arg+=,encrypt.iter-time=10 ;;
    key-secret=blockferry-*) arg+=,iter-time=10 ;;
  esac
  args+=("$arg")
done
exec ${stdout.trim()} "\${args[@]}"
`;
  await writeFile(join(directory, 'qemu-img'), script, { mode: 0o755 });
  return directory;
}

/** Has libvirt keep this passphrase, and tell it to whoever asks, unless it is private. */
export async function defineSecret(
  host: LibvirtHost,
  uuid: string,
  passphrase: string,
  isPrivate: 'yes' | 'no' = 'no',
): Promise<void> {
  const file = join(host.directory, 'guest', 'secret.xml');
  await writeFile(file, `<secret private='${isPrivate}'><uuid>${uuid}</uuid></secret>`);
  await host.virsh('secret-define', file);
  await host.virsh('secret-set-value', uuid, '--base64', Buffer.from(passphrase).toString('base64'));
}
