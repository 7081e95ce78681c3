// A domain's life: start, stop, pause, state, devices.

import { word } from '../../events/names.ts';
import { devices, run } from '../../procedures/domain.ts';
import type { CallOptions } from '../../rpc/deadline.ts';
import { DomainDefinition } from './definition.ts';

const STATES = [
  'nostate',
  'running',
  'blocked',
  'paused',
  'shutdown',
  'shutoff',
  'crashed',
  'pmsuspended',
] as const;
export type DomainState = (typeof STATES)[number] | 'unknown';

const CONTROL_STATES = ['ok', 'job', 'occupied', 'error'] as const;

/** Why a domain is paused (virDomainPausedReason), the `reason` of state 'paused'. */
export const DomainPausedReason = {
  USER: 1,
  MIGRATION: 2,
  SAVE: 3,
  DUMP: 4,
  IOERROR: 5,
  WATCHDOG: 6,
  FROM_SNAPSHOT: 7,
  SHUTTING_DOWN: 8,
  SNAPSHOT: 9,
  CRASHED: 10,
  STARTING_UP: 11,
  POSTCOPY: 12,
  POSTCOPY_FAILED: 13,
} as const;

export interface ControlInfo {
  /** `occupied`: a call is in QEMU's monitor; `job`: one holds the domain's job lock. */
  readonly state: (typeof CONTROL_STATES)[number] | 'unknown';
  readonly details: number;
  /** How long it has been so. */
  readonly stateTimeMs: bigint;
}

export class RunningDomain extends DomainDefinition {
  /** Never waits, even when QEMU is stuck. `reason` counts per state, see DomainPausedReason for 'paused'. */
  async getState(options?: CallOptions): Promise<{ readonly state: DomainState; readonly reason: number }> {
    const { state, reason } = await this.ask(run.state, { flags: 0 }, options);
    return { state: word(STATES, state), reason };
  }

  async isActive(options?: CallOptions): Promise<boolean> {
    return (await this.ask(run.isActive, {}, options)).active;
  }

  /** Whether somebody occupies the domain's monitor or job lock, and for how long. Fails when not running. */
  async controlInfo(options?: CallOptions): Promise<ControlInfo> {
    const { state, details, stateTimeMs } = await this.ask(run.controlInfo, { flags: 0 }, options);
    return { state: word(CONTROL_STATES, state), details, stateTimeMs };
  }

  /** Starts a defined domain; `flags` of DomainCreateFlags. Returns a handle with the new id. */
  async create(flags = 0, options?: CallOptions): Promise<this> {
    const { dom } = await this.ask(run.create, { flags }, options);
    return this.withRef(dom);
  }

  /** Ends the domain's QEMU as if the power failed. Block jobs end without an event of their own. */
  async destroy(flags = 0, options?: CallOptions): Promise<void> {
    await this.ask(run.destroy, { flags }, options);
  }

  /** Asks the guest to shut down, and returns before it has: wait for the lifecycle event. */
  async shutdown(flags = 0, options?: CallOptions): Promise<void> {
    await this.ask(run.shutdown, { flags }, options);
  }

  async reboot(flags = 0, options?: CallOptions): Promise<void> {
    await this.ask(run.reboot, { flags }, options);
  }

  async reset(options?: CallOptions): Promise<void> {
    await this.ask(run.reset, { flags: 0 }, options);
  }

  async suspend(options?: CallOptions): Promise<void> {
    await this.ask(run.suspend, {}, options);
  }

  async resume(options?: CallOptions): Promise<void> {
    await this.ask(run.resume, {}, options);
  }

  /** Saves the guest's memory and stops the domain. No default deadline. */
  async managedSave(flags = 0, options?: CallOptions): Promise<void> {
    await this.ask(run.managedSave, { flags }, options);
  }

  async hasManagedSave(options?: CallOptions): Promise<boolean> {
    return (await this.ask(run.hasManagedSave, { flags: 0 }, options)).result;
  }

  /** The definition that the saved domain goes on with. Since libvirt 3.7. @throws LibvirtError */
  async managedSaveXml(options?: CallOptions): Promise<string> {
    return (await this.ask(run.managedSaveXml, { flags: 0 }, options)).xml;
  }

  async removeManagedSave(options?: CallOptions): Promise<void> {
    await this.ask(run.removeManagedSave, { flags: 0 }, options);
  }

  /** What libvirt has to say about the domain: taints, deprecations; since 11.1 the last I/O error too. */
  async messages(options?: CallOptions): Promise<readonly string[]> {
    return (await this.ask(run.messages, { flags: 0 }, options)).messages;
  }

  async attachDevice(xml: string, flags = 0, options?: CallOptions): Promise<void> {
    await this.ask(devices.attach, { xml, flags }, options);
  }

  /** Of a running guest: asks it to let go, and may return before it has (event deviceRemoved). */
  async detachDevice(xml: string, flags = 0, options?: CallOptions): Promise<void> {
    await this.ask(devices.detach, { xml, flags }, options);
  }

  async updateDevice(xml: string, flags = 0, options?: CallOptions): Promise<void> {
    await this.ask(devices.update, { xml, flags }, options);
  }

  private withRef(ref: { readonly name: string; readonly uuid: string; readonly id: number }): this {
    // The constructor of whichever class this is takes what DomainHandle's takes.
    const Handle = this.constructor as new (caller: typeof this.caller, ref: typeof this.ref) => this;
    return new Handle(this.caller, ref);
  }
}
