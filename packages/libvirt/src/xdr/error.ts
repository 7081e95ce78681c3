// The error of the XDR layer, for both directions.

/**
 * A value that XDR cannot carry (`encode`: the caller's mistake, nothing was sent) or bytes that are not what
 * the schema says (`decode`: the peer's mistake; the RPC layer ends the connection).
 */
export class XdrError extends Error {
  override readonly name = 'XdrError';
  readonly direction: 'encode' | 'decode';

  constructor(direction: 'encode' | 'decode', message: string) {
    super(message);
    this.direction = direction;
  }
}
