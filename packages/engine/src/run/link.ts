// A libvirt connection that comes back: libvirtd may restart at any time while QEMU's jobs go on.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CallTimeout,
  type Connection,
  ConnectionClosed,
  connect,
  type Domain,
  ErrorCode,
  isLibvirtError,
  TransportFailed,
} from '@blockferry/libvirt';
import { HostError } from '@blockferry/qemu';
import { StepFailed } from '../model/errors.ts';
import type { Millis } from '../model/units.ts';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

export class Link {
  readonly uri: string | undefined;
  #connection: Connection | undefined;
  readonly #closing = new AbortController();

  constructor(uri: string | undefined) {
    this.uri = uri;
  }

  /** The connection that works now; opens one if there is none. @throws what `connect` throws */
  async connection(signal?: AbortSignal): Promise<Connection> {
    if (this.#connection === undefined || this.#connection.isClosed) {
      const closing = this.#closing.signal;
      this.#connection = await connect(this.uri, {
        signal: signal ? AbortSignal.any([signal, closing]) : closing,
      });
    }
    return this.#connection;
  }

  async domain(uuid: string): Promise<Domain> {
    return (await this.connection()).lookupDomainByUuid(uuid);
  }

  /**
   * Waits until the daemon answers again, for at most `patienceMs`.
   *
   * @throws the last connection error once patience is over, or the signal's reason
   */
  async reconnect(patienceMs: Millis, signal: AbortSignal): Promise<void> {
    const giveUpAt = performance.now() + patienceMs;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      try {
        await this.connection(signal);
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (performance.now() + pause > giveUpAt) throw error;
        await sleep(pause, undefined, { signal });
      }
    }
  }

  /** One that is being opened is given up: an ssh that hangs would outlive us. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the connection is no longer wanted'));
    await this.#connection?.close();
  }
}

/** Is it the way to the machine that failed, under a tool or a file operation? Then nothing is known of that: look again. */
export function isHostLost(error: unknown): boolean {
  return error instanceof HostError && error.code === 'unreachable';
}

/** Is it the connection that failed, and not the call? Then nothing is known of the call: look again. */
export function isLinkLost(error: unknown): boolean {
  return error instanceof ConnectionClosed || error instanceof TransportFailed;
}

/**
 * Did libvirt lose QEMU in the middle of the call? Its words are all that tells: the code is that of any system error
 * (seen with libvirt 9.0: "Unable to read from monitor: Connection reset by peer", "End of file from qemu monitor").
 */
export function isMonitorLost(error: unknown): boolean {
  const cause = error instanceof StepFailed ? error.cause : error;
  return isLibvirtError(cause) && /\bmonitor\b/i.test(cause.message);
}

/** Nothing is known of what was asked for, or libvirt was busy: only another look can tell. */
export function meansLookAgain(error: unknown): boolean {
  return (
    isLinkLost(error) ||
    isHostLost(error) ||
    isLibvirtError(error, ErrorCode.OPERATION_TIMEOUT) ||
    error instanceof CallTimeout
  );
}
