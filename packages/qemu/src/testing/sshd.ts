// An own sshd on loopback with throw-away keys, for what must work over ssh.
import { execFile, spawn } from 'node:child_process';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SshDestination } from '../host/ssh-connection.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const run = promisify(execFile);

export interface TestSshd extends AsyncDisposable {
  readonly destination: SshDestination;
  /** The listening sshd; its connections are processes of their own. */
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts it; resolves when it listens. `config` lines come first and so win. */
export async function startSshd(config: readonly string[] = []): Promise<TestSshd> {
  const directory = await temporaryDirectory();
  const path = (name: string) => join(directory.path, name);
  for (const key of ['host', 'client']) {
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path(key)]);
  }
  await copyFile(path('client.pub'), path('authorized_keys'));
  await mkdir('/run/sshd', { recursive: true }); // Debian's sshd insists on it
  const port = await freePort();
  const lines = [
    ...config,
    ...[`Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${path('host')}`, 'StrictModes no', 'UsePAM no'],
    ...[`AuthorizedKeysFile ${path('authorized_keys')}`, 'PasswordAuthentication no', 'PermitRootLogin yes'],
    // The user's own .bashrc is none of our business, and may be slow.
    ...['PidFile none', 'LogLevel INFO', `SetEnv HOME=${directory.path}`],
  ];
  await writeFile(path('config'), `${lines.join('\n')}\n`);
  const daemon = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', path('config')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await listening(daemon.stderr);
  const stop = async () => {
    if (daemon.exitCode === null && daemon.kill())
      await new Promise((resolve) => daemon.once('exit', resolve));
    await directory.remove();
  };
  const user = userInfo().username;
  const destination = { host: '127.0.0.1', user, port, keyfile: path('client'), noVerify: true, noTty: true };
  return { destination, pid: daemon.pid ?? 0, stop, [Symbol.asyncDispose]: stop };
}

async function listening(stderr: NodeJS.ReadableStream): Promise<void> {
  let log = '';
  await new Promise<void>((resolve, reject) => {
    stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      if (log.includes('Server listening')) resolve();
    });
    stderr.on('end', () => reject(new Error(`sshd did not start: ${log}`)));
  });
}

/** A TCP port on loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return address.port;
}
