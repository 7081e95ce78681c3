// One connection for one command: libvirt, the machine where tools run, and our own notes; closed at the end.
import { type Context, Link, OpenMoves, stateDirectory } from '@blockferry/engine';
import { type Host, localHost, sshHost } from '@blockferry/qemu';

export interface Session extends AsyncDisposable {
  readonly context: Context;
  readonly stateDirectory: string;
}

/**
 * Nothing is opened yet; the first use does. Closes the link, the host and what still runs there.
 *
 * @param uri as given with -c; undefined: what libvirt's own tools would use
 */
export function openSession(uri: string | undefined): Session {
  const here = localHost();
  const host = hostOf(uri ?? process.env.LIBVIRT_DEFAULT_URI, here);
  const directory = stateDirectory(process.env, process.geteuid?.() ?? 0);
  const link = new Link(uri);
  return {
    context: { link, host, openMoves: new OpenMoves(here, directory) },
    stateDirectory: directory,
    async [Symbol.asyncDispose]() {
      await Promise.allSettled([link.close(), here.close(), host === here ? undefined : host?.close()]);
    },
  };
}

/** The machine the URI's domains run on: this one, one that ssh reaches, or none that we could run tools on. */
export function hostOf(uri: string | undefined, here: Host): Host | undefined {
  if (!uri) return here;
  const url = new URL(uri);
  const transport = /\+([a-z0-9]+):$/.exec(url.protocol)?.[1];
  if (transport === 'unix' || (transport === undefined && url.hostname === '')) return here;
  if (transport !== 'ssh') return undefined;
  const keyfile = url.searchParams.get('keyfile') ?? undefined;
  const command = url.searchParams.get('command') ?? undefined;
  return sshHost({
    host: url.hostname || 'localhost',
    ...(url.username !== '' && { user: decodeURIComponent(url.username) }),
    ...(url.port !== '' && { port: Number(url.port) }),
    ...(keyfile !== undefined && { keyfile }),
    ...(command !== undefined && { command }),
    noVerify: url.searchParams.get('no_verify') === '1',
    noTty: url.searchParams.get('no_tty') === '1',
  });
}
