// Where a client's certificates are (libvirt.org/tlscerts.html; virnettlscontext.c).
import type { ConnectionEnvironment } from './environment.ts';

export type TlsFiles = {
  readonly ca: string;
  readonly crl?: string;
  /** Absent: the client shows no certificate, which a server may accept. */
  readonly identity?: { readonly certificate: string; readonly key: string };
};

/**
 * With `pkipath` everything is in that directory. Else a user's own ~/.pki/libvirt comes first, authority and
 * identity each for itself, then /etc/pki, which is all that root looks at.
 */
export function tlsFiles(pkipath: string | undefined, environment: ConnectionEnvironment): TlsFiles {
  if (pkipath !== undefined) return filesIn(pkipath, pkipath, pkipath, environment);
  const system = filesIn('/etc/pki/CA', '/etc/pki/libvirt', '/etc/pki/libvirt/private', environment);
  if (environment.uid === 0) return system;
  const directory = `${environment.home}/.pki/libvirt`;
  const own = filesIn(directory, directory, directory, environment);
  const identity = own.identity ?? system.identity;
  const ca = environment.exists(own.ca) ? own.ca : system.ca;
  const crl = own.crl ?? system.crl;
  return { ca, ...(crl === undefined ? {} : { crl }), ...(identity === undefined ? {} : { identity }) };
}

function filesIn(
  authority: string,
  certificates: string,
  keys: string,
  { exists }: ConnectionEnvironment,
): TlsFiles {
  const crl = `${authority}/cacrl.pem`;
  const identity = { certificate: `${certificates}/clientcert.pem`, key: `${keys}/clientkey.pem` };
  return {
    ca: `${authority}/cacert.pem`,
    ...(exists(crl) ? { crl } : {}),
    ...(exists(identity.certificate) && exists(identity.key) ? { identity } : {}),
  };
}
