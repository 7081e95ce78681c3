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
): Promise<NbdServer> {
  const name = exportName === '' ? [] : ['-x', exportName];
  return start('qemu-nbd', ['--persistent', '--shared=0', '-f', format, ...name, '-k', socket, file], socket);
}

/** nbdkit with any plugin and filters. */
export function startNbdkit(socket: string, ...args: string[]): Promise<NbdServer> {
  return start('nbdkit', ['--foreground', '--exit-with-parent', '-U', socket, ...args], socket);
}

async function start(program: string, args: string[], socket: string): Promise<NbdServer> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  while (!(await exists(socket))) {
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
