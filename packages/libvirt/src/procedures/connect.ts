// Procedures of the connection itself: authentication, opening, what the host is and can.

import { procedure } from '../rpc/procedure.ts';
import { array, int32, intBool, opaque, optional, string, uhyper, uint32 } from '../xdr/schema.ts';
import { charArray } from '../xdr/special.ts';
import { nothing } from './types.ts';

const instant = { pace: 'instant' } as const;

export const auth = {
  /** Must come first on every connection, even where no authentication is asked for. */
  list: procedure('AUTH_LIST', 66, nothing, { types: array(int32(), 20) }, instant),
  polkit: procedure('AUTH_POLKIT', 70, nothing, { complete: intBool() }, instant),
};

export const connection = {
  open: procedure('CONNECT_OPEN', 1, { name: optional(string()), flags: uint32() }, nothing, instant),
  close: procedure('CONNECT_CLOSE', 2, nothing, nothing, instant),
  supportsFeature: procedure(
    'CONNECT_SUPPORTS_FEATURE',
    60,
    { feature: int32() },
    { supported: intBool() },
    instant,
  ),
  registerCloseCallback: procedure('CONNECT_REGISTER_CLOSE_CALLBACK', 360, nothing, nothing, instant),
};

export const host = {
  type: procedure('CONNECT_GET_TYPE', 3, nothing, { type: string() }, instant),
  version: procedure('CONNECT_GET_VERSION', 4, nothing, { version: uhyper() }, instant),
  libVersion: procedure('CONNECT_GET_LIB_VERSION', 157, nothing, { version: uhyper() }, instant),
  // The daemon looks its own name up, in the DNS if need be: 5 s and more where that does not answer.
  hostname: procedure('CONNECT_GET_HOSTNAME', 59, nothing, { hostname: string() }),
  uri: procedure('CONNECT_GET_URI', 110, nothing, { uri: string() }, instant),
  isSecure: procedure('CONNECT_IS_SECURE', 149, nothing, { secure: intBool() }, instant),
  // Capabilities start QEMU to ask it what it can, where libvirt has no cached answer.
  capabilities: procedure('CONNECT_GET_CAPABILITIES', 7, nothing, { xml: string() }),
  domainCapabilities: procedure(
    'CONNECT_GET_DOMAIN_CAPABILITIES',
    342,
    {
      emulator: optional(string()),
      arch: optional(string()),
      machine: optional(string()),
      virtType: optional(string()),
      flags: uint32(),
    },
    { xml: string() },
  ),
  domainXmlToNative: procedure(
    'CONNECT_DOMAIN_XML_TO_NATIVE',
    136,
    { format: string(), xml: string(), flags: uint32() },
    { config: string() },
  ),
  nodeInfo: procedure(
    'NODE_GET_INFO',
    6,
    nothing,
    {
      model: charArray(32),
      memoryKiB: uhyper(),
      cpus: int32(),
      mhz: int32(),
      nodes: int32(),
      sockets: int32(),
      cores: int32(),
      threads: int32(),
    },
    instant,
  ),
  // Of ordinary priority, and never waits: whether it is answered shows whether the daemon has a worker to spare.
  cpuMap: procedure(
    'NODE_GET_CPU_MAP',
    293,
    { needMap: int32(), needOnline: int32(), flags: uint32() },
    { map: opaque(2_048), online: uint32(), cpus: int32() },
    instant,
  ),
  freeMemory: procedure('NODE_GET_FREE_MEMORY', 102, nothing, { bytes: uhyper() }, instant),
};
