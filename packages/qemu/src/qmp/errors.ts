// How a QMP command, or the connection under it, can fail.

/** QEMU refused the command. Nothing else is known to have happened. */
export class QmpCommandError extends Error {
  override readonly name = 'QmpCommandError';
  readonly command: string;
  /** 'GenericError', 'DeviceNotFound', 'CommandNotFound'… (qapi/error.json) */
  readonly errorClass: string;
  readonly description: string;

  constructor(command: string, errorClass: string, description: string) {
    super(`${command}: ${description}`);
    this.command = command;
    this.errorClass = errorClass;
    this.description = description;
  }
}

/** No answer in time, or nobody waits for it any more. QEMU may still carry the command out: ask it. */
export class QmpAbandoned extends Error {
  override readonly name = 'QmpAbandoned';
  readonly command: string;
  readonly why: 'timeout' | 'aborted';

  constructor(command: string, why: 'timeout' | 'aborted', detail: string, options?: ErrorOptions) {
    super(`${command}: ${detail}`, options);
    this.command = command;
    this.why = why;
  }
}

/** The connection is over. Commands that had no answer may or may not have been carried out. */
export class QmpConnectionError extends Error {
  override readonly name = 'QmpConnectionError';
  /** 'ended' by the other side, 'malformed' or 'oversized' input from it, 'closed' by us. */
  readonly why: 'ended' | 'malformed' | 'oversized' | 'closed';

  constructor(why: QmpConnectionError['why'], detail: string, options?: ErrorOptions) {
    super(`QMP: ${detail}`, options);
    this.why = why;
  }
}

/** A reader of events fell so far behind that the next one could not be kept for it. */
export class QmpEventOverflow extends Error {
  override readonly name = 'QmpEventOverflow';

  constructor(limit: number) {
    super(`QMP: more than ${limit} events were waiting for their reader`);
  }
}
