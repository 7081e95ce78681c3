// The daemon of an ordinary user's session: started by the first client that finds nobody listening.
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { Autostart } from '../uri/unix-sockets.ts';
import { TransportFailed } from './failed.ts';
import type { Transport } from './transport.ts';
import { connectUnix } from './unix.ts';

/** How long a daemon may take from its start to its socket. */
const startWithinMs = 15_000;
/** How long we still try after ours has ended: another client may have started one that holds the lock. */
const othersWithinMs = 2_000;

/**
 * Starts the session daemon in the background and connects to it. It outlives us, and ends by itself when it has
 * had no client and no running domain for the time its arguments say. Two clients may do this at once: the second
 * daemon finds the first one's lock and ends, and both clients connect to the first.
 *
 * @throws TransportFailed when the daemon cannot be started or does not listen in time, and the signal's reason.
 */
export async function startSessionDaemon(
  autostart: Autostart,
  options: { signal?: AbortSignal } = {},
): Promise<Transport> {
  const daemon = launch(autostart);
  let deadline = performance.now() + startWithinMs;
  let ended: string | undefined;
  daemon.once('error', (error) => {
    ended = error.message;
    deadline = 0;
  });
  daemon.once('exit', (code, signal) => {
    ended = `it ended with ${signal ?? `exit code ${code}`}`;
    deadline = Math.min(deadline, performance.now() + othersWithinMs);
  });
  for (let pauseMs = 10; ; pauseMs = Math.min(pauseMs * 2, 200)) {
    await delay(pauseMs, undefined, options);
    try {
      return await connectUnix(autostart.socket, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!isNobodyThere(error)) throw error;
      if (performance.now() > deadline) throw neverListened(autostart, ended, error);
    }
  }
}

/** Whether connecting failed because nobody listens, rather than because we may not. */
export function isNobodyThere(error: unknown): boolean {
  const cause = error instanceof TransportFailed ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return code === 'ENOENT' || code === 'ECONNREFUSED';
}

// What libvirt's own client passes on (virnetsocket.c, virNetSocketForkDaemon): a daemon that lives on must not
// keep what is in our environment, nor our directory.
const passedOn = ['PATH', 'HOME', 'USER', 'LOGNAME', 'TMPDIR', 'LD_PRELOAD', 'LD_LIBRARY_PATH'].concat([
  'XDG_CACHE_HOME',
  'XDG_CONFIG_HOME',
  'XDG_RUNTIME_DIR',
]);

function launch({ argv }: Autostart): ChildProcess {
  const [program = '', ...args] = argv;
  const env: Record<string, string> = { LC_ALL: 'C' };
  for (const name of passedOn) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  const daemon = spawn(program, args, { detached: true, stdio: 'ignore', cwd: '/', env });
  daemon.unref();
  return daemon;
}

function neverListened(
  { argv, socket }: Autostart,
  ended: string | undefined,
  cause: unknown,
): TransportFailed {
  const program = argv[0] ?? '';
  const name = program.slice(program.lastIndexOf('/') + 1);
  const how = ended ?? `it does not listen after ${startWithinMs / 1_000} s`;
  const log = `its log is ~/.cache/libvirt/${name}.log`;
  return new TransportFailed(`unix socket ${socket}`, `started ${program}, but ${how}; ${log}`, { cause });
}
