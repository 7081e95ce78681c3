// A machine reached through the user's own ssh. Nothing is installed on it.
import { HostError } from './errors.ts';
import { ShellFiles } from './files.ts';
import type { Forward, Host, HostProcess, RunOptions, RunResult, SpawnOptions } from './host.ts';
import { ShellPool } from './shell-pool.ts';
import { MAX_SESSIONS, SshConnection, type SshDestination } from './ssh-connection.ts';
import { type Launcher, type Lease, runSupervised, spawnSupervised } from './supervised-process.ts';

class SshHost extends ShellFiles implements Host {
  override readonly name: string;
  readonly isLocal = false;
  readonly #pool: ConnectionPool;
  readonly #launcher: Launcher;
  readonly #shells: ShellPool;

  constructor(destination: SshDestination) {
    super();
    const { host, user } = destination;
    this.name = user === undefined ? host : `${user}@${host}`;
    const pool = new ConnectionPool(this.name, destination);
    this.#pool = pool;
    this.#launcher = { hostName: this.name, lease: (signal) => pool.lease(signal), running: new Set() };
    this.#shells = new ShellPool(this.#launcher);
  }

  run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return runSupervised(this.#launcher, argv, options);
  }

  spawn(argv: readonly string[], options: SpawnOptions = {}): Promise<HostProcess> {
    return spawnSupervised(this.#launcher, argv, options);
  }

  bring(socket: string): Promise<Forward> {
    return this.#pool.forward((connection) => connection.bring(socket));
  }

  expose(socket: string, path: string): Promise<Forward> {
    return this.#pool.forward((connection) => connection.expose(socket, path));
  }

  protected override runShort(argv: readonly string[], options: RunOptions): Promise<RunResult> {
    return this.#shells.run(argv, options);
  }

  async close(): Promise<void> {
    for (const running of this.#launcher.running)
      running.kill(running.error('closed', 'the host was closed', ''));
    this.#pool.close();
  }
}

/**
 * A host over ssh, connected when it is first used and again after the connection was lost (a command that was running
 * then fails with HostError 'unreachable', and is not repeated). The login shell there must be one in which single
 * quotes quote, and print nothing by itself.
 */
export function sshHost(destination: SshDestination): Host {
  return new SshHost(destination);
}

/** As many connections as the sessions in use need. */
class ConnectionPool {
  readonly #name: string;
  readonly #destination: SshDestination;
  readonly #closing = new AbortController();
  readonly #connections = new Set<SshConnection>();
  #opening: Promise<void> | null = null;

  constructor(name: string, destination: SshDestination) {
    this.#name = name;
    this.#destination = destination;
  }

  async lease(signal: AbortSignal | undefined): Promise<Lease> {
    return this.#onFree(signal, leaseOf);
  }

  /** @throws HostError 'unreachable' with ssh's words when the far side does not allow it */
  async forward(open: (connection: SshConnection) => Promise<Forward>): Promise<Forward> {
    // Forwardings are no sessions: any connection does.
    const connection = await this.#onFree(undefined, (free) => free);
    try {
      return await open(connection);
    } catch (error) {
      throw this.#error('unreachable', error instanceof Error ? error.message : String(error), error);
    }
  }

  /** @param use takes its session before anybody else can look for one */
  async #onFree<T>(signal: AbortSignal | undefined, use: (free: SshConnection) => T): Promise<T> {
    for (;;) {
      if (this.#closing.signal.aborted) throw this.#error('closed', 'the host was closed');
      if (signal?.aborted) throw this.#error('aborted', 'given up', signal.reason);
      const free = this.#free();
      if (free) return use(free);
      await this.#open(signal);
    }
  }

  close(): void {
    this.#closing.abort();
    for (const connection of this.#connections) connection.close();
  }

  #free(): SshConnection | undefined {
    for (const connection of this.#connections) if (!connection.isOpen) this.#connections.delete(connection);
    return [...this.#connections].find(({ sessions, isDoubted }) => !isDoubted && sessions < MAX_SESSIONS);
  }

  /** One at a time: whoever waits for a session can use the same new connection. */
  async #open(signal: AbortSignal | undefined): Promise<void> {
    this.#opening ??= SshConnection.open(this.#destination, this.#closing.signal)
      .then((connection) => {
        this.#connections.add(connection);
      })
      .finally(() => {
        this.#opening = null;
      });
    try {
      await orAborted(this.#opening, signal);
    } catch (error) {
      if (signal?.aborted) return;
      const detail = error instanceof Error ? error.message : String(error);
      throw this.#error(this.#closing.signal.aborted ? 'closed' : 'unreachable', detail, error);
    }
  }

  #error(code: 'unreachable' | 'aborted' | 'closed', detail: string, cause?: unknown): HostError {
    const { host, port, command = 'ssh' } = this.#destination;
    const hint = `Try it by hand: ${command}${port === undefined ? '' : ` -p ${port}`} ${this.#name} true`;
    const facts = { host: this.#name, command: `${command} ${host}`, detail, hint };
    return new HostError(code, facts, cause === undefined ? undefined : { cause });
  }
}

function leaseOf(connection: SshConnection): Lease {
  connection.sessions += 1;
  return {
    wrap: (argv) => connection.wrap(argv),
    release: () => {
      connection.sessions -= 1;
    },
    doubt: () => {
      connection.isDoubted = true;
    },
  };
}

/** Waits for the promise, or for the signal: then the promise is left to others. */
async function orAborted(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
