// A snapshot of a domain, as libvirt records it.

import { ErrorCode } from '../errors/codes.ts';
import { isLibvirtError } from '../errors/libvirt-error.ts';
import { snapshot } from '../procedures/snapshot.ts';
import type { SnapshotRef } from '../procedures/types.ts';
import type { CallOptions } from '../rpc/deadline.ts';
import type { Caller } from '../rpc/lanes.ts';

export class DomainSnapshot {
  readonly name: string;
  readonly #caller: Caller;
  readonly #ref: SnapshotRef;

  constructor(caller: Caller, ref: SnapshotRef) {
    this.name = ref.name;
    this.#caller = caller;
    this.#ref = ref;
  }

  async getXmlDesc(flags = 0, options?: CallOptions): Promise<string> {
    return (await this.#caller.call(snapshot.xml, { snapshot: this.#ref, flags }, options)).xml;
  }

  /** The snapshot this one was taken on top of, or null for a root. */
  async parent(options?: CallOptions): Promise<DomainSnapshot | null> {
    try {
      const reply = await this.#caller.call(snapshot.parent, { snapshot: this.#ref, flags: 0 }, options);
      return new DomainSnapshot(this.#caller, reply.snapshot);
    } catch (error) {
      if (isLibvirtError(error, ErrorCode.NO_DOMAIN_SNAPSHOT)) return null;
      throw error;
    }
  }

  async listAllChildren(flags = 0, options?: CallOptions): Promise<readonly DomainSnapshot[]> {
    const args = { snapshot: this.#ref, needResults: 1, flags };
    const { snapshots } = await this.#caller.call(snapshot.listAllChildren, args, options);
    return snapshots.map((ref) => new DomainSnapshot(this.#caller, ref));
  }

  /** Makes the domain what it was at the snapshot. */
  async revert(flags = 0, options?: CallOptions): Promise<void> {
    await this.#caller.call(snapshot.revert, { snapshot: this.#ref, flags }, options);
  }

  /**
   * Deletes the snapshot; `flags` of DomainSnapshotDeleteFlags. Deleting an external one for real needs
   * libvirt 9.9; METADATA_ONLY forgets it and leaves the files.
   */
  async delete(flags = 0, options?: CallOptions): Promise<void> {
    await this.#caller.call(snapshot.delete, { snapshot: this.#ref, flags }, options);
  }
}
