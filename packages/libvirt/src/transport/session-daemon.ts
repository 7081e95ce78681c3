// The daemon of an ordinary user's session: started by the first client that finds nobody listening.
import { spawn } from 'node:child_process';
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
  try {
    for (let pauseMs = 10; ; pauseMs = Math.min(pauseMs * 2, 200)) {
      await delay(pauseMs, undefined, options);
      try {
        return await connectUnix(autostart.socket, options);
      } catch (error) {
        options.signal?.throwIfAborted();
        if (!isNobodyThere(error)) throw error;
        if (performance.now() > daemon.deadline()) throw neverListened(autostart, daemon.words(), error);
      }
    }
  } finally {
    daemon.leave();
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

type Launched = {
  /** Until when there is hope, on the clock of `performance.now()`. */
  readonly deadline: () => number;
  /** What became of it, and what it said. */
  readonly words: () => string;
  /** Lets it live without us. */
  readonly leave: () => void;
};

function launch({ argv }: Autostart): Launched {
  const [program = '', ...args] = argv;
  const env: Record<string, string> = { LC_ALL: 'C' };
  for (const name of passedOn) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  // Later nobody reads its stderr: libvirt's daemons ignore SIGPIPE and pass over what they cannot log.
  const daemon = spawn(program, args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'], cwd: '/', env });
  let deadline = performance.now() + startWithinMs;
  let became = `it does not listen after ${startWithinMs / 1_000} s`;
  let said = '';
  daemon.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4_096);
  });
  daemon.once('error', (error) => {
    became = error.message;
    deadline = 0;
  });
  daemon.once('exit', (code, signal) => {
    became = `it ended with ${signal ?? `exit code ${code}`}`;
    deadline = Math.min(deadline, performance.now() + othersWithinMs);
  });
  return {
    deadline: () => deadline,
    words: () => (said.trim() === '' ? became : `${became}: ${said.trim()}`),
    leave: () => {
      daemon.stderr.destroy();
      daemon.unref();
    },
  };
}

function neverListened({ argv, socket }: Autostart, words: string, cause: unknown): TransportFailed {
  const detail = `nobody listened, so ${argv.join(' ')} was started, but ${words}`;
  return new TransportFailed(`unix socket ${socket}`, detail, { cause });
}
