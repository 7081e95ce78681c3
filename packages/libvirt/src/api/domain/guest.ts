// The guest's agent, QEMU's monitor, and the domain's background job.

import { word } from '../../events/names.ts';
import { agent, stats } from '../../procedures/domain.ts';
import { type ParamRecord, paramsToRecord } from '../../procedures/params.ts';
import { qemu } from '../../procedures/qemu.ts';
import type { CallOptions } from '../../rpc/deadline.ts';
import { readAgentReply, readMonitorReply } from '../monitor.ts';
import { DomainBlocks } from './block.ts';

const JOB_TYPES = ['none', 'bounded', 'unbounded', 'completed', 'failed', 'cancelled'] as const;
export type JobType = (typeof JOB_TYPES)[number] | 'unknown';

const HMP = 1;
const ABORT_POSTCOPY = 1;

export class DomainGuest extends DomainBlocks {
  /** The domain's migration, save or backup job: its type, and numbers by libvirt's names for them. */
  async jobStats(
    flags = 0,
    options?: CallOptions,
  ): Promise<{ readonly type: JobType; readonly stats: ParamRecord }> {
    const { type, params } = await this.ask(stats.job, { flags }, options);
    return { type: word(JOB_TYPES, type), stats: paramsToRecord(params) };
  }

  /** Aborts the domain's migration, save or backup job. Block jobs have `blockJobAbort`. */
  async abortJob(options?: CallOptions): Promise<void> {
    await this.ask(stats.abortJob, {}, options);
  }

  /** Interrupts a migration in its post-copy phase, which `abortJob` refuses; it can be resumed (libvirt 8.5). */
  async abortPostCopy(options?: CallOptions): Promise<void> {
    await this.ask(stats.abortJobFlags, { flags: ABORT_POSTCOPY }, options);
  }

  /**
   * Freezes the guest's file systems (all of them without `mountpoints`) through the guest's agent; returns how
   * many. Thaw in every case, also when this timed out: the guest may have been frozen all the same.
   *
   * @throws LibvirtError AGENT_UNRESPONSIVE when no agent answers.
   */
  async fsFreeze(mountpoints: readonly string[] = [], options?: CallOptions): Promise<number> {
    return (await this.ask(agent.freeze, { mountpoints, flags: 0 }, options)).filesystems;
  }

  async fsThaw(mountpoints: readonly string[] = [], options?: CallOptions): Promise<number> {
    return (await this.ask(agent.thaw, { mountpoints, flags: 0 }, options)).filesystems;
  }

  async fsInfo(options?: CallOptions): Promise<
    readonly {
      readonly mountpoint: string;
      readonly name: string;
      readonly fstype: string;
      readonly deviceAliases: readonly string[];
    }[]
  > {
    return (await this.ask(agent.filesystems, { flags: 0 }, options)).filesystems;
  }

  /** What the agent knows of its guest: users, os, timezone, hostname, filesystems, disks. `types` 0 asks for all. */
  async guestInfo(types = 0, options?: CallOptions): Promise<ParamRecord> {
    return paramsToRecord((await this.ask(agent.guestInfo, { types, flags: 0 }, options)).params);
  }

  /** How long libvirt waits for the agent in the calls above: seconds, -1 its default (5 s), -2 for ever. */
  async agentSetResponseTimeout(seconds: number, options?: CallOptions): Promise<void> {
    await this.ask(agent.setResponseTimeout, { timeoutSeconds: seconds, flags: 0 }, options);
  }

  /**
   * Sends one command to the guest's agent and returns its `return` member.
   * `agentTimeoutSeconds`: how long libvirt waits for the agent; -1 its default (5 s), -2 for ever, 0 not at all.
   */
  async agentCommand(command: object, agentTimeoutSeconds = -1, options?: CallOptions): Promise<unknown> {
    const args = { command: JSON.stringify(command), timeoutSeconds: agentTimeoutSeconds, flags: 0 };
    return readAgentReply((await this.ask(qemu.agentCommand, args, options)).result);
  }

  /**
   * Sends one QMP command past libvirt and returns its `return` member. libvirt marks the domain as tainted; do
   * not change anything that libvirt keeps track of.
   *
   * @throws MonitorError for QEMU's own refusal.
   */
  async monitorCommand(command: { readonly execute: string }, options?: CallOptions): Promise<unknown> {
    const args = { command: JSON.stringify(command), flags: 0 };
    const { result } = await this.ask(qemu.monitorCommand, args, options);
    return readMonitorReply(command.execute, result);
  }

  /** Sends one command line of QEMU's human monitor and returns what it prints. */
  async humanMonitorCommand(command: string, options?: CallOptions): Promise<string> {
    return (await this.ask(qemu.monitorCommand, { command, flags: HMP }, options)).result;
  }
}
