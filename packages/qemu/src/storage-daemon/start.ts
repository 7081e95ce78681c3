// qemu-storage-daemon on a host, spoken to over its stdio, alive exactly as long as we want it.
import { HostError } from '../host/errors.ts';
import type { Host } from '../host/host.ts';
import { yielding } from '../host/yielding.ts';
import { QmpClient } from '../qmp/client.ts';

export interface StorageDaemonOptions {
  /** For it to start and greet; default 10 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Default 'qemu-storage-daemon'. */
  readonly program?: string;
  /** Variables for its environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** The processor is for others first: the guests. */
  readonly yields?: boolean;
}

export interface StorageDaemon extends AsyncDisposable {
  readonly qmp: QmpClient;
  /** Its last words on standard error so far. */
  stderr(): string;
  /** Of one whose connection has ended: was it the way to its host that was lost? Waits for it to be known. */
  isHostLost(): Promise<boolean>;
  /** Asks it to quit, which cancels its jobs and closes its images; kills it if it does not within `timeoutMs` (5 s). */
  stop(timeoutMs?: number): Promise<void>;
}

/** The daemon did not come up. */
export class StorageDaemonError extends Error {
  override readonly name = 'StorageDaemonError';
  readonly hint = 'Is the package of qemu-storage-daemon installed there, and of the version of QEMU?';
}

const STOP_MS = 5_000;

/**
 * Starts it. It ends when we stop it, lose the connection to its host or die, even by SIGKILL: it does not end at the
 * end of its stdin by itself, so the supervisor on its host (host/shell.ts) sees to it. What it had not finished then
 * has to be looked at anew. Throws StorageDaemonError, HostError.
 */
export async function startStorageDaemon(
  host: Host,
  options: StorageDaemonOptions = {},
): Promise<StorageDaemon> {
  const { program = 'qemu-storage-daemon', environment = {}, yields = false, timeoutMs, signal } = options;
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const command = variables.length > 0 ? ['env', ...variables, program] : [program];
  const monitor = ['--chardev', 'stdio,id=qmp,signal=off', '--monitor', 'chardev=qmp,mode=control'];
  const plain = [...command, ...monitor];
  const argv = yields ? yielding(plain) : plain;
  const running = await host.spawn(argv);
  let qmp: QmpClient;
  try {
    const limits = { ...(timeoutMs === undefined ? {} : { timeoutMs }), ...(signal ? { signal } : {}) };
    qmp = await QmpClient.connect(running.duplex, limits);
  } catch (error) {
    running.kill();
    await running.exited.catch((cause: unknown) => {
      if (cause instanceof HostError && cause.code === 'not-found') throw cause;
    });
    const detail = running.stderr().trim() || (error instanceof Error ? error.message : String(error));
    throw new StorageDaemonError(`${host.name}: ${program}: ${detail}`, { cause: error });
  }
  const stop = async (stopMs = STOP_MS): Promise<void> => {
    await qmp.execute('quit', undefined, { timeoutMs: stopMs }).catch(() => {}); // killed below if it could not hear us
    await endWithin(running.exited, stopMs);
    running.kill();
    qmp.close();
  };
  const isHostLost = () =>
    running.exited.then(
      () => false,
      (error: unknown) => !host.isLocal && error instanceof HostError && error.code === 'unreachable',
    );
  return { qmp, stderr: () => running.stderr(), isHostLost, stop, [Symbol.asyncDispose]: () => stop() };
}

async function endWithin(exited: Promise<unknown>, timeoutMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, timeoutMs);
  await Promise.race([exited.catch(() => {}), promise]);
  clearTimeout(timer);
}
