// What can be wrong with a connection URI.

/**
 * - `malformed`: not a URI, or one without a driver
 * - `unknown-transport`: `qemu+xyz://`
 * - `bad-parameter`: a query parameter whose value libvirt does not define
 * - `missing-parameter`: one the transport cannot do without
 * - `conflict`: parts that exclude each other (a unix socket on another host)
 * - `unsupported`: libvirt's own client could, this one cannot
 */
export type ConnectionUriErrorCode =
  | 'malformed'
  | 'unknown-transport'
  | 'bad-parameter'
  | 'missing-parameter'
  | 'conflict'
  | 'unsupported';

export class ConnectionUriError extends Error {
  override readonly name = 'ConnectionUriError';
  readonly code: ConnectionUriErrorCode;
  readonly uri: string;
  /** What to write instead; may be empty. */
  readonly hint: string;

  constructor(code: ConnectionUriErrorCode, uri: string, reason: string, hint = '') {
    super(`connection URI ${uri}: ${reason}${hint === '' ? '' : ` (${hint})`}`);
    this.code = code;
    this.uri = uri;
    this.hint = hint;
  }
}
