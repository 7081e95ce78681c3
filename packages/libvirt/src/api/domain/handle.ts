// What every part of a domain's API stands on: the handle that the daemon knows it by, and the way to call.

import type { DomainRef } from '../../procedures/types.ts';
import type { CallOptions } from '../../rpc/deadline.ts';
import type { Caller } from '../../rpc/lanes.ts';
import type { Procedure } from '../../rpc/procedure.ts';

export class DomainHandle {
  readonly name: string;
  /** Lower case, dashed. The daemon finds a domain by this alone, so a handle stays good over restarts. */
  readonly uuid: string;
  /** -1 when the domain was not running when this handle was made. Not kept up to date. */
  readonly id: number;
  readonly #caller: Caller;

  constructor(caller: Caller, ref: DomainRef) {
    this.#caller = caller;
    this.name = ref.name;
    this.uuid = ref.uuid;
    this.id = ref.id;
  }

  protected get caller(): Caller {
    return this.#caller;
  }

  /** What the protocol calls this domain. */
  get ref(): DomainRef {
    return { name: this.name, uuid: this.uuid, id: this.id };
  }

  /** Calls a procedure that has this domain as its first argument. */
  protected ask<A extends { readonly dom: DomainRef }, R>(
    procedure: Procedure<A, R>,
    rest: Omit<A, 'dom'>,
    options: CallOptions | undefined,
  ): Promise<R> {
    // Omit of a generic type cannot be put together again in the type system.
    const args = { dom: this.ref, ...rest } as unknown as A;
    return this.#caller.call(procedure, args, options);
  }
}
