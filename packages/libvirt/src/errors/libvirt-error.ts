// What the daemon answers when a call fails.

import { type ErrorCodeName, errorCodeName } from './codes.ts';

/** The fields of virNetMessageError that carry meaning for a client. */
export interface LibvirtErrorFacts {
  readonly code: number;
  readonly domain: number;
  readonly message: string | null;
  readonly level: number;
  readonly str1: string | null;
  readonly str2: string | null;
  readonly str3: string | null;
  readonly int1: number;
  readonly int2: number;
}

/** The daemon refused or failed a call. The connection is unharmed. */
export class LibvirtError extends Error {
  override readonly name = 'LibvirtError';
  /** One of `ErrorCode`. */
  readonly code: number;
  readonly codeName: ErrorCodeName | `UNKNOWN_${number}`;
  /** The part of libvirt it comes from (virErrorDomain): 10 QEMU, 18 storage, 20 domain, 7 RPC… */
  readonly domain: number;
  readonly level: 'none' | 'warning' | 'error';
  /** The call that failed, by libvirt's name for it: DOMAIN_BLOCK_COPY. */
  readonly procedure: string;
  /** The message's format and its arguments, as the daemon sent them. */
  readonly details: Pick<LibvirtErrorFacts, 'str1' | 'str2' | 'str3' | 'int1' | 'int2'>;

  constructor(procedure: string, facts: LibvirtErrorFacts) {
    super(facts.message ?? `libvirt error ${facts.code}`);
    this.procedure = procedure;
    this.code = facts.code;
    this.codeName = errorCodeName(facts.code);
    this.domain = facts.domain;
    this.level = facts.level === 1 ? 'warning' : facts.level === 0 ? 'none' : 'error';
    const { str1, str2, str3, int1, int2 } = facts;
    this.details = { str1, str2, str3, int1, int2 };
  }
}

/** True for a `LibvirtError` with that code: `isLibvirtError(e, ErrorCode.NO_DOMAIN)`. */
export function isLibvirtError(error: unknown, code?: number): error is LibvirtError {
  return error instanceof LibvirtError && (code === undefined || error.code === code);
}
