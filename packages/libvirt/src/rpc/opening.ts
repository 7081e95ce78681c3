// From a fresh byte stream to an open hypervisor connection: authentication, then CONNECT_OPEN.

import { CallTimeout, ConnectionClosed } from '../errors/connection.ts';
import { auth, connection as connectionProcedures } from '../procedures/connect.ts';
import { TransportFailed } from '../transport/failed.ts';
import type { Transport } from '../transport/transport.ts';
import { RpcConnection, type RpcOptions } from './connection.ts';
import type { Deadline } from './deadline.ts';
import type { KeepaliveOptions } from './keepalive.ts';

const AUTH_NONE = 0;
const AUTH_POLKIT = 2;
const AUTH_NAMES: Readonly<Record<number, string>> = { 0: 'none', 1: 'SASL', 2: 'polkit' };
const FEATURE_KEEPALIVE = 10;
const CONNECT_READ_ONLY = 1;

/** The daemon asks for an authentication that this client cannot give. */
export class AuthenticationUnsupported extends Error {
  override readonly name = 'AuthenticationUnsupported';
  /** What the daemon offers: "SASL". */
  readonly offered: readonly string[];

  constructor(transport: string, offered: readonly string[]) {
    super(
      `the daemon at ${transport} asks for authentication by ${offered.join(' or ')}, which is not supported`,
    );
    this.offered = offered;
  }
}

export interface OpeningOptions extends RpcOptions {
  /** The URI that the daemon is to open: without transport, host and the parameters meant for the client. */
  readonly name: string;
  readonly readonly: boolean;
  /** Null to do without, in both directions: a server sends pings only to those who ask for them. */
  readonly keepalive: KeepaliveOptions | null;
  readonly deadline: Deadline;
}

/** @throws TransportFailed, AuthenticationUnsupported, LibvirtError, ConnectionClosed. The transport is closed then. */
export async function openRpc(transport: Transport, options: OpeningOptions): Promise<RpcConnection> {
  const rpc = new RpcConnection(transport, options);
  const { deadline } = options;
  try {
    await authenticate(rpc, deadline);
    const flags = options.readonly ? CONNECT_READ_ONLY : 0;
    await Promise.all([
      // Asking for the feature is what makes the daemon send pings of its own.
      options.keepalive && startKeepalive(rpc, options.keepalive, deadline),
      rpc.call(connectionProcedures.open, { name: options.name, flags }, { deadline }),
    ]);
    return rpc;
  } catch (error) {
    rpc.end();
    throw neverOpened(error, rpc.description);
  }
}

/** What ends before it was open was no connection: ssh starts, and tells only then that it cannot reach the host. */
function neverOpened(error: unknown, description: string): unknown {
  const detail = whyNotOpened(error);
  if (detail === undefined) return error;
  return new TransportFailed(`libvirt through ${description}`, detail, { cause: error });
}

function whyNotOpened(error: unknown): string | undefined {
  if (error instanceof CallTimeout) return noAnswer(error.timeoutMs);
  if (!(error instanceof ConnectionClosed)) return undefined;
  if (error.why === 'lost') return error.detail || 'it hung up';
  return error.why === 'protocol' ? `what comes from there is not of libvirt: ${error.detail}` : undefined;
}

export function noAnswer(timeoutMs: number): string {
  return `no answer within ${Math.round(timeoutMs / 100) / 10} s`;
}

async function startKeepalive(
  rpc: RpcConnection,
  options: KeepaliveOptions,
  deadline: Deadline,
): Promise<void> {
  const feature = { feature: FEATURE_KEEPALIVE };
  const { supported } = await rpc.call(connectionProcedures.supportsFeature, feature, { deadline });
  if (supported) rpc.startKeepalive(options);
}

/** AUTH_LIST comes first even where no authentication is asked for: the daemon refuses all else before it. */
async function authenticate(rpc: RpcConnection, deadline: Deadline): Promise<void> {
  const { types } = await rpc.call(auth.list, {}, { deadline });
  if (types.length === 0 || types.includes(AUTH_NONE)) return;
  if (types.includes(AUTH_POLKIT)) {
    await rpc.call(auth.polkit, {}, { deadline });
    return;
  }
  const offered = types.map((type) => AUTH_NAMES[type] ?? `method ${type}`);
  throw new AuthenticationUnsupported(rpc.description, offered);
}
