// Procedures of the qemu program: the monitor, the guest agent, and QEMU's own events.

import { Program, procedure } from '../rpc/procedure.ts';
import { int32, optional, string, uint32 } from '../xdr/schema.ts';
import { domainRef, nothing } from './types.ts';

const dom = domainRef;
const flags = uint32();
const traits = { program: Program.QEMU } as const;
const long = { program: Program.QEMU, pace: 'long' } as const;

export const qemu = {
  /** Errors of QEMU come back as a success whose text has an "error" member. */
  monitorCommand: procedure(
    'QEMU_DOMAIN_MONITOR_COMMAND',
    1,
    { dom, command: string(), flags },
    { result: string() },
    traits,
  ),
  agentCommand: procedure(
    'QEMU_DOMAIN_AGENT_COMMAND',
    3,
    { dom, command: string(), timeoutSeconds: int32(), flags },
    { result: optional(string()) },
    long,
  ),
  monitorEventRegister: procedure(
    'QEMU_CONNECT_DOMAIN_MONITOR_EVENT_REGISTER',
    4,
    { dom: optional(dom), event: optional(string()), flags },
    { callbackId: int32() },
    { ...traits, pace: 'instant' },
  ),
  monitorEventDeregister: procedure(
    'QEMU_CONNECT_DOMAIN_MONITOR_EVENT_DEREGISTER',
    5,
    { callbackId: int32() },
    nothing,
    { ...traits, pace: 'instant' },
  ),
};
