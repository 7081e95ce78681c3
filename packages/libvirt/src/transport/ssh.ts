// A libvirt daemon on another host, through the system's ssh.
import type { SshPlan } from '../uri/ssh-command.ts';
import { connectChild } from './child.ts';
import type { Transport } from './transport.ts';

/**
 * Spawns the system's `ssh`, with the user's own configuration, keys and agent.
 *
 * It resolves at once: that there is no ssh, that it cannot reach the host, or that the host has neither
 * virt-ssh-helper nor nc shows as the end of the transport, with what ssh and the far side wrote to stderr.
 *
 * @throws TransportFailed when no process can be started, and the signal's reason when it aborts first.
 */
export function connectSsh(plan: SshPlan, options: { signal?: AbortSignal } = {}): Promise<Transport> {
  return connectChild(plan.argv, `ssh to ${plan.where}`, options);
}
