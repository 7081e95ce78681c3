// The error of a transport that could not be set up.

/** No byte stream to the daemon: nobody listens, permission is missing, ssh failed. Safe to try again. */
export class TransportFailed extends Error {
  override readonly name = 'TransportFailed';
  readonly transport: string;
  /** In words: the socket error, or the far side's stderr. */
  readonly detail: string;

  constructor(transport: string, detail: string, options?: ErrorOptions) {
    super(`cannot connect to ${transport}: ${detail}`, options);
    this.transport = transport;
    this.detail = detail;
  }
}
