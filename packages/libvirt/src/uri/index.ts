// What the rest of the world uses of this folder.
export {
  type ConnectionUri,
  parseConnectionUri,
  serverName,
  type TransportName,
  type UriParameter,
  uriFlag,
  uriParameter,
} from './connection-uri.ts';
export { resolveUri } from './default-uri.ts';
export { type Destination, locate } from './destination.ts';
export { type ConnectionEnvironment, readEnvironment } from './environment.ts';
export { ConnectionUriError, type ConnectionUriErrorCode } from './errors.ts';
export { type LibvirtConf, LibvirtConfError, parseLibvirtConf } from './libvirt-conf.ts';
export { libraryOptions, type SshPlan } from './ssh-command.ts';
export type { TlsFiles } from './tls-files.ts';
export { resolveTransport, type TlsPlan, type TransportPlan } from './transport-plan.ts';
export type { Autostart, UnixPlan } from './unix-sockets.ts';
