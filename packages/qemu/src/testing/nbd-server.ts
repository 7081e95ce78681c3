// NBD servers for tests: real ones, to be stopped, hung and killed.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export interface NbdServer extends AsyncDisposable {
  readonly pid: number;
  stop(): Promise<void>;
}

/** qemu-nbd of a file on a socket; resolves when it listens. */
export function startQemuNbd(
  file: string,
  socket: string,
  exportName = '',
  format = 'raw',
  clients = 0,
): Promise<NbdServer> {
  const name = exportName === '' ? [] : ['-x', exportName];
  return start(
    'qemu-nbd',
    ['--persistent', `--shared=${clients}`, '-f', format, ...name, '-k', socket, file],
    socket,
  );
}

/** qemu-nbd on a TCP port of loopback that lets nobody in without a certificate from this directory (see tls.ts). */
export async function startTlsNbd(file: string, port: number, certificates: string): Promise<NbdServer> {
  const tls = `tls-creds-x509,id=tls,endpoint=server,dir=${certificates},verify-peer=on`;
  const pidFile = `${file}.pid`;
  const args = ['-b', '127.0.0.1', '-p', String(port), '--object', tls, '--tls-creds', 'tls'];
  return start('qemu-nbd', ['--persistent', '-f', 'raw', '--pid-file', pidFile, ...args, file], pidFile);
}

/** nbdkit with any plugin and filters. */
export function startNbdkit(socket: string, ...args: string[]): Promise<NbdServer> {
  return start('nbdkit', ['--foreground', '--exit-with-parent', '-U', socket, ...args], socket);
}

/** Starts it; it serves when the file that it makes (its socket, its pid file) is there. */
async function start(program: string, args: string[], sign: string): Promise<NbdServer> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  while (!(await exists(sign))) {
    if (child.exitCode !== null) throw new Error(`${program} did not start: ${stderr}`);
    await sleep(5);
  }
  const stop = () => kill(child);
  return { pid: child.pid ?? 0, stop, [Symbol.asyncDispose]: stop };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL'))
    await once(child, 'exit');
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
