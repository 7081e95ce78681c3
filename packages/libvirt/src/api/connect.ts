// connect(): from a connection URI to an open connection.

import { EventRouter } from '../events/router.ts';
import { connection as connectionProcedures } from '../procedures/connect.ts';
import type { RpcConnection } from '../rpc/connection.ts';
import { DEFAULT_TIMEOUT_MS, Deadline, withDeadline } from '../rpc/deadline.ts';
import { JobLocks } from '../rpc/job-locks.ts';
import { DEFAULT_KEEPALIVE, type KeepaliveOptions } from '../rpc/keepalive.ts';
import { Lanes } from '../rpc/lanes.ts';
import { noAnswer, openRpc } from '../rpc/opening.ts';
import { TransportFailed } from '../transport/failed.ts';
import { openTransport as openPlan } from '../transport/open.ts';
import type { Transport } from '../transport/transport.ts';
import { locate } from '../uri/destination.ts';
import { Connection } from './connection.ts';

export interface ConnectOptions {
  /** Asks for a read-only connection: changes fail with OPERATION_DENIED. */
  readonly readonly?: boolean;
  /** For all of connecting, in ms. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Default: a ping after 5 s of silence, given up after 5 unanswered ones. */
  readonly keepalive?: KeepaliveOptions | false;
}

/**
 * Connects to the libvirt daemon that a connection URI or an alias of libvirt.conf names; without one, to
 * libvirt's own default. A session daemon that is not there is started.
 *
 * @throws ConnectionUriError, LibvirtConfError, TransportFailed when nobody is there (or ssh does not get there),
 * AuthenticationUnsupported, LibvirtError when the daemon refuses the URI, ConnectionClosed, the signal's reason. Nothing is left open then; calling again is safe.
 */
export async function connect(uri?: string, options: ConnectOptions = {}): Promise<Connection> {
  const target = locate(uri, { readOnly: options.readonly ?? false });
  return await connectOver((signal) => openPlan(target.plan, { signal }), target, options);
}

/** Opens transports: one for each lane. */
export type OpenTransport = (signal: AbortSignal) => Promise<Transport>;

/** Connects over transports that `open` makes; `name` is the URI that the daemon is to open. */
export async function connectOver(
  open: OpenTransport,
  target: { readonly uri: string; readonly name: string },
  options: ConnectOptions = {},
): Promise<Connection> {
  const router = new EventRouter();
  const jobLocks = new JobLocks();
  const keepalive = options.keepalive === false ? null : (options.keepalive ?? DEFAULT_KEEPALIVE);
  const readonly = options.readonly ?? false;
  const { name } = target;

  const openLane = async (
    deadline: Deadline,
    extra: Partial<Parameters<typeof openRpc>[1]>,
  ): Promise<RpcConnection> => {
    const transport = await openTransport(open, target.uri, deadline);
    return await openRpc(transport, { name, readonly, keepalive, deadline, jobLocks, ...extra });
  };
  const first = await openLane(new Deadline(options, DEFAULT_TIMEOUT_MS), {
    onEvent: (frame) => router.receive(frame),
  });
  void first.closed.then((error) => router.fail(error));
  watchHypervisor(first, router);
  // Keepalive on the first lane watches the daemon for all. A lane that waits for a slow reader must not be
  // watched: neither side could tell it from a dead one.
  const openSide = () => openLane(new Deadline({}, DEFAULT_TIMEOUT_MS), { keepalive: null, reserve: false });
  return new Connection(new Lanes(first, openSide), router, target.uri);
}

/**
 * A daemon that stands between us and the hypervisor's own (virtproxyd) stays connected when that one dies, and
 * tells those who asked. For us it is the end of the connection all the same. Older servers do not know the call.
 */
function watchHypervisor(first: RpcConnection, router: EventRouter): void {
  router.onHypervisorClosed((reason) => first.lose(`the daemon lost its hypervisor: ${reason}`));
  first.call(connectionProcedures.registerCloseCallback, {}).catch(() => {});
}

async function openTransport(open: OpenTransport, uri: string, deadline: Deadline): Promise<Transport> {
  const giveUp = new AbortController();
  const opening = open(giveUp.signal);
  try {
    const timedOut = () => new TransportFailed(uri, noAnswer(deadline.timeoutMs ?? 0));
    return await withDeadline(opening, deadline, timedOut);
  } catch (error) {
    giveUp.abort(error);
    // A transport that comes up all the same is nobody's.
    opening.then(
      (transport) => transport.close(),
      () => {},
    );
    throw error;
  }
}
