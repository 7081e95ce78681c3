// A domain's definition: XML, metadata, autostart.

import { definition } from '../../procedures/domain.ts';
import type { CallOptions } from '../../rpc/deadline.ts';
import { DomainHandle } from './handle.ts';

export class DomainDefinition extends DomainHandle {
  /** The domain XML: the live one of a running domain, the persistent one with DomainXmlFlags.INACTIVE. */
  async getXmlDesc(flags = 0, options?: CallOptions): Promise<string> {
    return (await this.ask(definition.xml, { flags }, options)).xml;
  }

  /** Whether the domain has a persistent definition. */
  async isPersistent(options?: CallOptions): Promise<boolean> {
    return (await this.ask(definition.isPersistent, {}, options)).persistent;
  }

  /** Whether the running domain's persistent definition was changed since it started. */
  async isUpdated(options?: CallOptions): Promise<boolean> {
    return (await this.ask(definition.isUpdated, {}, options)).updated;
  }

  async getAutostart(options?: CallOptions): Promise<boolean> {
    return (await this.ask(definition.autostart, {}, options)).autostart;
  }

  async setAutostart(autostart: boolean, options?: CallOptions): Promise<void> {
    await this.ask(definition.setAutostart, { autostart }, options);
  }

  /**
   * Removes the persistent definition; a running domain goes on, as transient.
   *
   * @throws LibvirtError OPERATION_INVALID when snapshots, checkpoints, NVRAM or a managed save would be orphaned
   * and `flags` (DomainUndefineFlags) do not say what to do with them.
   */
  async undefine(flags = 0, options?: CallOptions): Promise<void> {
    await this.ask(definition.undefine, { flags }, options);
  }

  /** Renames a domain that is not running. Make a new handle afterwards. */
  async rename(newName: string, options?: CallOptions): Promise<void> {
    await this.ask(definition.rename, { newName, flags: 0 }, options);
  }

  /**
   * Sets or, with null, removes a piece of metadata. `type` is of DomainMetadataType; ELEMENT needs the XML
   * namespace `uri` and its prefix `key`, and replaces the whole element of that namespace.
   * `flags` (DomainAffectFlags) LIVE | CONFIG changes both definitions in one call.
   */
  async setMetadata(
    type: number,
    metadata: string | null,
    key: string | null = null,
    uri: string | null = null,
    flags = 0,
    options?: CallOptions,
  ): Promise<void> {
    await this.ask(definition.setMetadata, { type, metadata, key, uri, flags }, options);
  }

  /**
   * Reads metadata, re-indented by libvirt. `flags` is one of DomainAffectFlags, not a combination.
   *
   * @throws LibvirtError NO_DOMAIN_METADATA when there is none.
   */
  async getMetadata(
    type: number,
    uri: string | null = null,
    flags = 0,
    options?: CallOptions,
  ): Promise<string> {
    return (await this.ask(definition.metadata, { type, uri, flags }, options)).metadata;
  }
}
