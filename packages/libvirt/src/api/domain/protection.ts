// A domain's snapshots, checkpoints and backup job.

import { backup, checkpoint, snapshot } from '../../procedures/snapshot.ts';
import type { CallOptions } from '../../rpc/deadline.ts';
import { DomainCheckpoint } from '../checkpoint.ts';
import { DomainSnapshot } from '../snapshot.ts';
import { DomainGuest } from './guest.ts';

export class DomainProtection extends DomainGuest {
  /**
   * Takes a snapshot; `flags` of DomainSnapshotCreateFlags. With NO_METADATA the handle returned names what
   * libvirt keeps no record of. No default deadline: a snapshot with memory takes as long as that takes.
   */
  async snapshotCreateXml(xml: string, flags = 0, options?: CallOptions): Promise<DomainSnapshot> {
    const reply = await this.ask(snapshot.createXml, { xml, flags }, options);
    return new DomainSnapshot(this.caller, reply.snapshot);
  }

  async listAllSnapshots(flags = 0, options?: CallOptions): Promise<readonly DomainSnapshot[]> {
    const { snapshots } = await this.ask(snapshot.listAll, { needResults: 1, flags }, options);
    return snapshots.map((ref) => new DomainSnapshot(this.caller, ref));
  }

  /** @throws LibvirtError NO_DOMAIN_SNAPSHOT when there is none of that name. */
  async lookupSnapshotByName(name: string, options?: CallOptions): Promise<DomainSnapshot> {
    const reply = await this.ask(snapshot.lookupByName, { name, flags: 0 }, options);
    return new DomainSnapshot(this.caller, reply.snapshot);
  }

  /** The snapshot the domain was last at, or null. */
  async currentSnapshot(options?: CallOptions): Promise<DomainSnapshot | null> {
    const { result } = await this.ask(snapshot.hasCurrent, { flags: 0 }, options);
    if (!result) return null;
    const reply = await this.ask(snapshot.current, { flags: 0 }, options);
    return new DomainSnapshot(this.caller, reply.snapshot);
  }

  async checkpointCreateXml(xml: string, flags = 0, options?: CallOptions): Promise<DomainCheckpoint> {
    const reply = await this.ask(checkpoint.createXml, { xml, flags }, options);
    return new DomainCheckpoint(this.caller, reply.checkpoint);
  }

  async listAllCheckpoints(flags = 0, options?: CallOptions): Promise<readonly DomainCheckpoint[]> {
    const { checkpoints } = await this.ask(checkpoint.listAll, { needResults: 1, flags }, options);
    return checkpoints.map((ref) => new DomainCheckpoint(this.caller, ref));
  }

  /** @throws LibvirtError NO_DOMAIN_CHECKPOINT when there is none of that name. */
  async lookupCheckpointByName(name: string, options?: CallOptions): Promise<DomainCheckpoint> {
    const reply = await this.ask(checkpoint.lookupByName, { name, flags: 0 }, options);
    return new DomainCheckpoint(this.caller, reply.checkpoint);
  }

  /**
   * Starts a backup job, with a new checkpoint if `checkpointXml` is given. It ends with the event jobCompleted;
   * a pull backup ends by `abortJob`. A second one waits for the first.
   */
  async backupBegin(
    backupXml: string,
    checkpointXml: string | null = null,
    flags = 0,
    options?: CallOptions,
  ): Promise<void> {
    await this.ask(backup.begin, { backupXml, checkpointXml, flags }, options);
  }

  /** @throws LibvirtError NO_DOMAIN_BACKUP when no backup job is under way. */
  async backupGetXmlDesc(options?: CallOptions): Promise<string> {
    return (await this.ask(backup.xml, { flags: 0 }, options)).xml;
  }
}
