// One connection for one command: libvirt, the machine where tools run, and our own notes; closed at the end.
import { type Context, Link, OpenMoves, stateDirectory, unreachable } from '@blockferry/engine';
import {
  type ConnectionUri,
  libraryOptions,
  parseConnectionUri,
  readEnvironment,
  resolveUri,
  uriFlag,
  uriParameter,
} from '@blockferry/libvirt';
import { type Host, localHost, type SshDestination, sshHost } from '@blockferry/qemu';

export interface Session extends AsyncDisposable {
  readonly context: Context;
  /** The machine we run on. */
  readonly here: Host;
  readonly stateDirectory: string;
}

/**
 * Nothing is opened yet; the first use does. Closes the link, the host and what still runs there.
 *
 * @param given as with -c: a URI or an alias; undefined: what libvirt's own tools would use
 * @throws ConnectionUriError, LibvirtConfError
 */
export function openSession(given: string | undefined): Session {
  const uri = resolveUri(given, readEnvironment());
  const here = localHost();
  const where = hostOf(parseConnectionUri(uri));
  const host = where.kind === 'here' ? here : where.kind === 'ssh' ? sshHost(where.destination) : undefined;
  const directory = stateDirectory(process.env, process.geteuid?.() ?? 0);
  const link = new Link(uri);
  return {
    context: { link, host, openMoves: new OpenMoves(here, directory) },
    here,
    stateDirectory: directory,
    async [Symbol.asyncDispose]() {
      await Promise.allSettled([link.close(), here.close(), host === here ? undefined : host?.close()]);
    },
  };
}

export type WhereTools =
  | { readonly kind: 'here' }
  | { readonly kind: 'ssh'; readonly destination: SshDestination }
  /** TLS, TCP and programs of the user's own carry libvirt's protocol and nothing else. */
  | { readonly kind: 'nowhere' };

/** The machine that the URI's domains run on, as far as tools can be run there. Pure. */
export function hostOf(uri: ConnectionUri): WhereTools {
  switch (uri.transport) {
    case 'unix':
      return { kind: 'here' };
    case 'ssh':
    case 'libssh':
    case 'libssh2':
      return { kind: 'ssh', destination: sshDestination(uri) };
    case 'tls':
    case 'tcp':
    case 'ext':
      return { kind: 'nowhere' };
    default:
      return unreachable(uri.transport);
  }
}

/** The same account, key and way of checking that the connection itself uses. */
function sshDestination(uri: ConnectionUri): SshDestination {
  const { host = 'localhost', port } = uri;
  const user = uri.user ?? (uri.transport === 'ssh' ? undefined : 'root');
  const keyfile = uriParameter(uri, 'keyfile');
  const command = uriParameter(uri, 'command');
  return {
    host,
    ...(user !== undefined && { user }),
    ...(port !== undefined && { port }),
    ...(keyfile !== undefined && { keyfile }),
    ...(command !== undefined && { command }),
    noVerify: uriFlag(uri, 'no_verify'),
    noTty: uriFlag(uri, 'no_tty'),
    options: libraryOptions(uri),
  };
}
