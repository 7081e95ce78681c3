// An sshd to throw away, inside a testbed host, so that who logs in finds that host's libvirtd.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { freePort } from '../faults/nbd-server.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';
import { until } from '../process/until.ts';

export type Sshd = {
  readonly port: number;
  /** The private key that opens it, for root. */
  readonly keyfile: string;
  /** A key it does not know. */
  readonly strangeKeyfile: string;
  /** An ssh that takes its host key and remembers nothing of it. */
  readonly command: string;
  /** Kills every session that is open now, and says how many; it takes new ones. */
  readonly dropSessions: () => Promise<number>;
  readonly stop: () => Promise<void>;
};

/** Starts sshd on loopback. The host's end kills it too. */
export async function startSshd(host: LibvirtHost): Promise<Sshd> {
  const directory = join(host.directory, 'sshd');
  await mkdir(directory);
  const file = (name: string): string => join(directory, name);
  for (const name of ['host', 'client', 'strange']) {
    await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', file(name)]);
  }
  const command = file('ssh');
  const trusting = [
    '-o',
    'UserKnownHostsFile=/dev/null',
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'LogLevel=ERROR',
  ];
  await writeFile(command, `#!/bin/sh\nexec ssh ${trusting.join(' ')} "$@"\n`, { mode: 0o755 });
  const port = await freePort();
  await writeFile(file('config'), configuration(port, file));
  await host.inNamespace(['mkdir', '-p', '/run/sshd']);
  const [program = '', ...args] = [
    ...host.namespaceCommand(),
    '/usr/sbin/sshd',
    '-D',
    '-e',
    '-f',
    file('config'),
  ];
  const sshd = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const said = listenTo(sshd);
  await until(`sshd on port ${port}`, () => {
    if (sshd.exitCode !== null) throw new Error(`sshd ended: ${said()}`);
    return answers(port);
  });
  return {
    port,
    keyfile: file('client'),
    strangeKeyfile: file('strange'),
    command,
    dropSessions: () => killChildren(sshd),
    stop: () => stop(sshd),
  };
}

function configuration(port: number, file: (name: string) => string): string {
  return [
    'ListenAddress 127.0.0.1',
    `Port ${port}`,
    `HostKey ${file('host')}`,
    `AuthorizedKeysFile ${file('client.pub')}`,
    'PidFile none',
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'StrictModes no',
    'UsePAM no',
    // The start-up files of root's shell are this machine's, and may say something, or take a second.
    `SetEnv HOME=${dirname(file('client'))}`,
    '',
  ].join('\n');
}

function listenTo(sshd: ChildProcess): () => string {
  let said = '';
  sshd.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4_000);
  });
  return () => said;
}

function answers(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('error', () => resolve(undefined));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** nsenter, which is what we started, has the listening sshd as its child, and that one a process for each session. */
async function killChildren(sshd: ChildProcess): Promise<number> {
  const listeners = await childrenOf(sshd.pid ?? 0);
  const sessions = (await Promise.all(listeners.map(childrenOf))).flat();
  for (const session of sessions) process.kill(session, 'SIGKILL');
  return sessions.length;
}

async function childrenOf(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return children
    .split(' ')
    .filter((child) => child !== '')
    .map(Number);
}

async function stop(sshd: ChildProcess): Promise<void> {
  if (sshd.exitCode !== null || sshd.signalCode !== null) return;
  const ended = once(sshd, 'exit');
  sshd.kill('SIGKILL');
  await ended;
}

/** A netcat for machines without one: bridges its stdin and stdout to a unix socket, `-U PATH`. */
export async function writeNetcat(file: string): Promise<string> {
  const bridge = `
    const socket = require('node:net').connect(process.argv.at(-1));
    socket.on('error', (error) => { process.stderr.write(error.message + '\\n'); process.exit(1); });
    process.stdin.pipe(socket).pipe(process.stdout);
    socket.on('close', () => process.exit(0));`;
  const asked = 'if [ "$1" = -q ]; then echo "nc: option requires an argument -- q" >&2; exit 1; fi';
  await writeFile(`${file}.cjs`, bridge);
  await writeFile(file, `#!/bin/sh\n${asked}\nexec ${process.execPath} ${file}.cjs "$@"\n`);
  await chmod(file, 0o755);
  return file;
}
