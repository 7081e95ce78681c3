// How to reach the daemon a URI names: a pure decision from the URI and the surroundings.
import { type ConnectionUri, uriFlag, uriParameter } from './connection-uri.ts';
import type { ConnectionEnvironment } from './environment.ts';
import { ConnectionUriError } from './errors.ts';
import { type SshPlan, sshPlan } from './ssh-command.ts';
import { type TlsFiles, tlsFiles } from './tls-files.ts';
import { remoteMode, type UnixPlan, unixPlan } from './unix-sockets.ts';

export type TlsPlan = {
  readonly kind: 'tls';
  readonly host: string;
  readonly port: number;
  /** `false` (`?no_verify=1`): whoever answers is believed. */
  readonly verify: boolean;
  readonly files: TlsFiles;
};

export type TransportPlan =
  | UnixPlan
  | SshPlan
  | TlsPlan
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  /** Transport `ext`: a program that speaks RPC on its stdin and stdout. */
  | { readonly kind: 'command'; readonly argv: readonly string[] };

/**
 * @throws ConnectionUriError `bad-parameter`, `missing-parameter`, `conflict` or `unsupported`.
 */
export function resolveTransport(
  uri: ConnectionUri,
  environment: ConnectionEnvironment,
  options: { readonly readOnly?: boolean } = {},
): TransportPlan {
  const readOnly = options.readOnly ?? false;
  const mode = uriParameter(uri, 'mode') === undefined ? 'auto' : remoteMode(uri, environment);
  if (uri.transport !== 'unix' && mode === 'direct') {
    throw new ConnectionUriError('conflict', uri.text, 'mode=direct needs the unix transport');
  }
  switch (uri.transport) {
    case 'unix':
      return unixPlan(uri, environment, readOnly);
    // The system's ssh does what these libraries do, with the user's own configuration and agent.
    case 'libssh':
    case 'libssh2':
    case 'ssh':
      return sshPlan(uri, readOnly);
    case 'tls':
      return tlsPlan(uri, environment);
    case 'tcp':
      return { kind: 'tcp', host: uri.host ?? 'localhost', port: uri.port ?? 16_509 };
    case 'ext':
      return extPlan(uri);
    default:
      return unreachable(uri.transport);
  }
}

function tlsPlan(uri: ConnectionUri, environment: ConnectionEnvironment): TlsPlan {
  if (uriParameter(uri, 'tls_priority') !== undefined) {
    const reason = 'tls_priority is written in the language of GnuTLS, which this client does not use';
    throw new ConnectionUriError('unsupported', uri.text, reason);
  }
  return {
    kind: 'tls',
    host: uri.host ?? 'localhost',
    port: uri.port ?? 16_514,
    verify: !uriFlag(uri, 'no_verify'),
    files: tlsFiles(uriParameter(uri, 'pkipath'), environment),
  };
}

function extPlan(uri: ConnectionUri): TransportPlan {
  const command = uriParameter(uri, 'command');
  if (command === undefined) {
    throw new ConnectionUriError('missing-parameter', uri.text, 'transport ext needs ?command=');
  }
  return { kind: 'command', argv: [command] };
}

function unreachable(value: never): never {
  throw new TypeError(`unexpected ${String(value)}`);
}
