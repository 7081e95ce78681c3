// A checkpoint of a domain: a point in time from which changes are tracked, for incremental backups.

import { ErrorCode } from '../errors/codes.ts';
import { isLibvirtError } from '../errors/libvirt-error.ts';
import { checkpoint } from '../procedures/snapshot.ts';
import type { CheckpointRef } from '../procedures/types.ts';
import type { CallOptions } from '../rpc/deadline.ts';
import type { Caller } from '../rpc/lanes.ts';

export class DomainCheckpoint {
  readonly name: string;
  readonly #caller: Caller;
  readonly #ref: CheckpointRef;

  constructor(caller: Caller, ref: CheckpointRef) {
    this.name = ref.name;
    this.#caller = caller;
    this.#ref = ref;
  }

  /** `flags` of DomainCheckpointXmlFlags; SIZE adds how much changed since. */
  async getXmlDesc(flags = 0, options?: CallOptions): Promise<string> {
    return (await this.#caller.call(checkpoint.xml, { checkpoint: this.#ref, flags }, options)).xml;
  }

  /** The checkpoint before this one, or null for the first. */
  async parent(options?: CallOptions): Promise<DomainCheckpoint | null> {
    try {
      const reply = await this.#caller.call(checkpoint.parent, { checkpoint: this.#ref, flags: 0 }, options);
      return new DomainCheckpoint(this.#caller, reply.checkpoint);
    } catch (error) {
      if (isLibvirtError(error, ErrorCode.NO_DOMAIN_CHECKPOINT)) return null;
      throw error;
    }
  }

  /** Deletes the checkpoint and merges its bitmap; `flags` of DomainCheckpointDeleteFlags. */
  async delete(flags = 0, options?: CallOptions): Promise<void> {
    await this.#caller.call(checkpoint.delete, { checkpoint: this.#ref, flags }, options);
  }
}
