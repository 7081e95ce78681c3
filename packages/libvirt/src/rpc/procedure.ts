// The declaration of one remote procedure: number, arguments, result, and how long it may keep the server busy.

import type { XdrReader } from '../xdr/reader.ts';
import { type Infer, type Schema, struct } from '../xdr/schema.ts';

/** Program numbers of libvirt's RPC; all are at version 1. */
export const Program = { REMOTE: 0x2000_8086, QEMU: 0x2000_8087, KEEPALIVE: 0x6b65_6570 } as const;

/**
 * How a call occupies one of the few places a server gives a connection:
 * `instant` never waits on a domain · `waits` may wait for a domain's job lock or monitor (30 s and more) ·
 * `pinned` likewise, and must run on the connection's first lane, since the daemon ties state to it ·
 * `long` is expected to take long, and runs on a connection of its own.
 */
export type Pace = 'instant' | 'waits' | 'pinned' | 'long';

export interface Procedure<A, R> {
  readonly program: number;
  readonly number: number;
  /** libvirt's own name without REMOTE_PROC_: DOMAIN_BLOCK_COPY. */
  readonly name: string;
  readonly args: Schema<A>;
  readonly result: Schema<R>;
  readonly pace: Pace;
  /** False for calls that may rightly take hours: they get no default deadline. */
  readonly hasDeadline: boolean;
  /** Whether it waits for the job lock of the domain it is about (job-locks.ts). */
  readonly takesJob: boolean;
}

type Fields = Readonly<Record<string, { read(reader: XdrReader): unknown }>>;
type Value<F> = { readonly [K in keyof F]: Infer<F[K]> };

export interface ProcedureTraits {
  readonly program?: number;
  readonly pace?: Pace;
  readonly hasDeadline?: boolean;
  readonly takesJob?: boolean;
}

/** Declares a procedure. `procedure('DOMAIN_GET_STATE', 212, { dom, flags: uint32() }, { state: int32(), … })` */
export function procedure<const A extends Fields, const R extends Fields>(
  name: string,
  number: number,
  args: A,
  result: R,
  traits: ProcedureTraits = {},
): Procedure<Value<A>, Value<R>> {
  const {
    program = Program.REMOTE,
    pace = 'waits',
    hasDeadline = true,
    takesJob = pace === 'waits',
  } = traits;
  return { program, number, name, args: struct(args), result: struct(result), pace, hasDeadline, takesJob };
}
