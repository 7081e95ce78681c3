// Errors of the connection itself, as opposed to the daemon's answers.

/**
 * `closed`: we closed it · `lost`: the far side or the network ended it · `protocol`: the far side sent what is
 * not libvirt RPC · `keepalive`: the far side fell silent.
 */
export type ClosedWhy = 'closed' | 'lost' | 'protocol' | 'keepalive';

const WORDS: Readonly<Record<ClosedWhy, string>> = {
  closed: 'the connection was closed',
  lost: 'the connection was lost',
  protocol: 'the connection was ended because of a malformed message',
  keepalive: 'the connection was ended because the far side fell silent',
};

/**
 * The connection is over. Every pending call fails with one and the same error. Whether the daemon carried
 * out a call that was pending is unknown: connect again and look.
 */
export class ConnectionClosed extends Error {
  override readonly name = 'ConnectionClosed';
  readonly why: ClosedWhy;
  /** In words: the socket error, ssh's stderr, what was malformed. May be empty. */
  readonly detail: string;

  constructor(why: ClosedWhy, transport: string, detail: string, options?: ErrorOptions) {
    super(`${WORDS[why]} (${transport})${detail === '' ? '' : `: ${detail}`}`, options);
    this.why = why;
    this.detail = detail;
  }
}

/**
 * A call's deadline passed. If `sent`, the daemon may still carry it out; its late reply is discarded, and its
 * place among the calls in flight is held until that reply comes. If not, it never left and never will.
 */
export class CallTimeout extends Error {
  override readonly name = 'CallTimeout';
  readonly procedure: string;
  readonly timeoutMs: number;
  readonly sent: boolean;

  constructor(procedure: string, timeoutMs: number, sent: boolean) {
    super(`${procedure} was not answered within ${timeoutMs} ms${sent ? '' : ' (it was never sent)'}`);
    this.procedure = procedure;
    this.timeoutMs = timeoutMs;
    this.sent = sent;
  }
}
