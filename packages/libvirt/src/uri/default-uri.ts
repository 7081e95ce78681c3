// Which URI is meant when none, or an alias, is given.
import type { ConnectionEnvironment } from './environment.ts';

/**
 * The URI to connect to: the alias resolved (libvirt.conf `uri_aliases`), or without one LIBVIRT_DEFAULT_URI,
 * `uri_default` of libvirt.conf, and else what libvirt's probing comes to: `qemu:///system` for root,
 * `qemu:///session` for others. Aliases of aliases are not followed, as in libvirt.
 */
export function resolveUri(given: string | undefined, environment: ConnectionEnvironment): string {
  const { variables, conf, uid } = environment;
  const probed = uid === 0 ? 'qemu:///system' : 'qemu:///session';
  const uri = given || variables.LIBVIRT_DEFAULT_URI || conf.uriDefault || probed;
  return conf.uriAliases?.get(uri) ?? uri;
}
