// Procedures that find, define, start, stop and describe domains.

import { procedure } from '../rpc/procedure.ts';
import { array, int32, intBool, optional, string, struct, uhyper, uint32 } from '../xdr/schema.ts';
import { uuid } from '../xdr/special.ts';
import { domainRef, MAX_DOMAINS, MAX_STATS_PER_DOMAIN, nothing, typedParams } from './types.ts';

const instant = { pace: 'instant' } as const;
/** Looks at a domain, or stops its job, whoever holds the job lock. */
const noJob = { takesJob: false } as const;
const long = { pace: 'long' } as const;
const longJob = { pace: 'long', takesJob: true } as const;
/** May rightly take as long as the guest's memory takes to write. */
const unbounded = { pace: 'long', hasDeadline: false } as const;
const dom = domainRef;
const flags = uint32();

export const lookup = {
  listAll: procedure(
    'CONNECT_LIST_ALL_DOMAINS',
    273,
    { needResults: int32(), flags },
    { domains: array(domainRef, MAX_DOMAINS), count: uint32() },
    instant,
  ),
  byName: procedure('DOMAIN_LOOKUP_BY_NAME', 23, { name: string() }, { dom }, instant),
  byUuid: procedure('DOMAIN_LOOKUP_BY_UUID', 24, { uuid: uuid() }, { dom }, instant),
  byId: procedure('DOMAIN_LOOKUP_BY_ID', 22, { id: int32() }, { dom }, instant),
};

export const definition = {
  define: procedure('DOMAIN_DEFINE_XML_FLAGS', 350, { xml: string(), flags }, { dom }),
  undefine: procedure('DOMAIN_UNDEFINE_FLAGS', 231, { dom, flags }, nothing),
  // Waits for a query job since libvirt 11.0; earlier it never waits.
  xml: procedure('DOMAIN_GET_XML_DESC', 14, { dom, flags }, { xml: string() }, noJob),
  isPersistent: procedure('DOMAIN_IS_PERSISTENT', 151, { dom }, { persistent: intBool() }, instant),
  isUpdated: procedure('DOMAIN_IS_UPDATED', 202, { dom }, { updated: intBool() }, instant),
  autostart: procedure('DOMAIN_GET_AUTOSTART', 15, { dom }, { autostart: intBool() }, instant),
  setAutostart: procedure('DOMAIN_SET_AUTOSTART', 29, { dom, autostart: intBool() }, nothing),
  rename: procedure('DOMAIN_RENAME', 358, { dom, newName: optional(string()), flags }, { result: int32() }),
  setMetadata: procedure(
    'DOMAIN_SET_METADATA',
    264,
    {
      dom,
      type: int32(),
      metadata: optional(string()),
      key: optional(string()),
      uri: optional(string()),
      flags,
    },
    nothing,
  ),
  metadata: procedure(
    'DOMAIN_GET_METADATA',
    265,
    { dom, type: int32(), uri: optional(string()), flags },
    { metadata: string() },
    noJob,
  ),
};

export const run = {
  createXml: procedure('DOMAIN_CREATE_XML', 10, { xml: string(), flags }, { dom }, long),
  create: procedure('DOMAIN_CREATE_WITH_FLAGS', 196, { dom, flags }, { dom }, long),
  destroy: procedure('DOMAIN_DESTROY_FLAGS', 234, { dom, flags }, nothing, long),
  shutdown: procedure('DOMAIN_SHUTDOWN_FLAGS', 258, { dom, flags }, nothing),
  reboot: procedure('DOMAIN_REBOOT', 27, { dom, flags }, nothing),
  reset: procedure('DOMAIN_RESET', 245, { dom, flags }, nothing),
  suspend: procedure('DOMAIN_SUSPEND', 34, { dom }, nothing),
  resume: procedure('DOMAIN_RESUME', 28, { dom }, nothing),
  managedSave: procedure('DOMAIN_MANAGED_SAVE', 182, { dom, flags }, nothing, unbounded),
  hasManagedSave: procedure('DOMAIN_HAS_MANAGED_SAVE_IMAGE', 183, { dom, flags }, { result: intBool() }),
  managedSaveXml: procedure('DOMAIN_MANAGED_SAVE_GET_XML_DESC', 388, { dom, flags }, { xml: string() }),
  removeManagedSave: procedure('DOMAIN_MANAGED_SAVE_REMOVE', 184, { dom, flags }, nothing),
  isActive: procedure('DOMAIN_IS_ACTIVE', 150, { dom }, { active: intBool() }, instant),
  state: procedure('DOMAIN_GET_STATE', 212, { dom, flags }, { state: int32(), reason: int32() }, instant),
  controlInfo: procedure(
    'DOMAIN_GET_CONTROL_INFO',
    229,
    { dom, flags },
    { state: uint32(), details: uint32(), stateTimeMs: uhyper() },
    instant,
  ),
  messages: procedure(
    'DOMAIN_GET_MESSAGES',
    426,
    { dom, flags },
    { messages: array(string(), 2_048) },
    instant,
  ),
};

export const devices = {
  attach: procedure('DOMAIN_ATTACH_DEVICE_FLAGS', 160, { dom, xml: string(), flags }, nothing, longJob),
  detach: procedure('DOMAIN_DETACH_DEVICE_FLAGS', 161, { dom, xml: string(), flags }, nothing, longJob),
  update: procedure('DOMAIN_UPDATE_DEVICE_FLAGS', 174, { dom, xml: string(), flags }, nothing, longJob),
};

const statsRecord = struct({ dom: domainRef, params: typedParams(MAX_STATS_PER_DOMAIN) });

export const stats = {
  // Without NOWAIT it waits for every busy domain in turn.
  allDomains: procedure(
    'CONNECT_GET_ALL_DOMAIN_STATS',
    344,
    { domains: array(domainRef, MAX_DOMAINS), stats: uint32(), flags },
    { records: array(statsRecord, MAX_DOMAINS) },
  ),
  job: procedure('DOMAIN_GET_JOB_STATS', 298, { dom, flags }, { type: int32(), params: typedParams(64) }),
  abortJob: procedure('DOMAIN_ABORT_JOB', 164, { dom }, nothing, noJob),
  abortJobFlags: procedure('DOMAIN_ABORT_JOB_FLAGS', 442, { dom, flags }, nothing, noJob),
};

const mountpoints = array(string(), 256);
const filesystem = struct({
  mountpoint: string(),
  name: string(),
  fstype: string(),
  deviceAliases: array(string(), 256),
});

/** All of these wait for the guest's agent, which answers when the guest lets it. */
export const agent = {
  freeze: procedure('DOMAIN_FSFREEZE', 335, { dom, mountpoints, flags }, { filesystems: int32() }, long),
  thaw: procedure('DOMAIN_FSTHAW', 336, { dom, mountpoints, flags }, { filesystems: int32() }, long),
  filesystems: procedure(
    'DOMAIN_GET_FSINFO',
    349,
    { dom, flags },
    { filesystems: array(filesystem, 256), count: uint32() },
    long,
  ),
  guestInfo: procedure(
    'DOMAIN_GET_GUEST_INFO',
    418,
    { dom, types: uint32(), flags },
    { params: typedParams(2_048) },
    long,
  ),
  setResponseTimeout: procedure(
    'DOMAIN_AGENT_SET_RESPONSE_TIMEOUT',
    420,
    { dom, timeoutSeconds: int32(), flags },
    { result: int32() },
  ),
};
