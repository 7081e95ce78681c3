// Which unix socket: of the system or of the session, of libvirtd or of the modular daemon of a driver.
import { type ConnectionUri, uriParameter } from './connection-uri.ts';
import type { ConnectionEnvironment } from './environment.ts';
import { ConnectionUriError } from './errors.ts';

export type Autostart = {
  /** The daemon to start, and its arguments. */
  readonly argv: readonly string[];
  /** The socket it will listen on. */
  readonly socket: string;
};

export type UnixPlan = {
  readonly kind: 'unix';
  /** To be tried in this order. */
  readonly candidates: readonly string[];
  /** Only for a session: what to start when nobody listens. */
  readonly autostart?: Autostart;
};

export type RemoteMode = 'auto' | 'direct' | 'legacy';

// libvirt says /var/run where it means a host it may not know: every host with /run has the link.
const systemDirectory = '/var/run/libvirt';

/**
 * `?mode=`, else `remote_mode` of libvirt.conf, else `auto`.
 *
 * @throws ConnectionUriError `bad-parameter` for another value.
 */
export function remoteMode(uri: ConnectionUri, environment: ConnectionEnvironment): RemoteMode {
  const mode = uriParameter(uri, 'mode') ?? environment.conf.remoteMode ?? 'auto';
  if (mode === 'auto' || mode === 'direct' || mode === 'legacy') return mode;
  throw new ConnectionUriError('bad-parameter', uri.text, `unknown mode ${mode}`, 'auto, direct or legacy');
}

/** Where the socket of an ordinary user's own daemon is (glib's user runtime directory). */
function sessionDirectory({ variables, home }: ConnectionEnvironment): string {
  return `${variables.XDG_RUNTIME_DIR || variables.XDG_CACHE_HOME || `${home}/.cache`}/libvirt`;
}

/** The sockets of the modular daemon (undefined for the driver `remote`) and of libvirtd, without directory. */
export function socketNames(driver: string, suffix: '' | '-ro'): { direct: string; legacy: string } {
  const legacy = `libvirt-sock${suffix}`;
  return { legacy, direct: driver === 'remote' ? legacy : `virt${driver}d-sock${suffix}` };
}

export function unixPlan(
  uri: ConnectionUri,
  environment: ConnectionEnvironment,
  readOnly: boolean,
): UnixPlan {
  const mode = remoteMode(uri, environment);
  const given = uriParameter(uri, 'socket');
  if (given !== undefined) return { kind: 'unix', candidates: [given] };
  const session = isSession(uri, environment);
  const directory = session ? sessionDirectory(environment) : systemDirectory;
  const names = socketNames(uri.driver, readOnly && !session ? '-ro' : '');
  const sockets = { direct: `${directory}/${names.direct}`, legacy: `${directory}/${names.legacy}` };
  const candidates = orderOf(mode, sockets, environment);
  const autostart = session ? autostartOf(uri, mode, sockets, environment) : undefined;
  return { kind: 'unix', candidates, ...(autostart === undefined ? {} : { autostart }) };
}

// Root has no session of its own: its /session is the system daemon.
function isSession(uri: ConnectionUri, { uid }: ConnectionEnvironment): boolean {
  return uid !== 0 && (uri.path === '/session' || uri.driver === 'test');
}

type Sockets = { readonly direct: string; readonly legacy: string };

function orderOf(mode: RemoteMode, sockets: Sockets, { exists }: ConnectionEnvironment): string[] {
  if (mode === 'direct') return [sockets.direct];
  if (mode === 'legacy') return [sockets.legacy];
  const both = [...new Set([sockets.direct, sockets.legacy])];
  const there = both.filter(exists);
  return there.length > 0 ? there : both;
}

function autostartOf(
  uri: ConnectionUri,
  mode: RemoteMode,
  sockets: Sockets,
  environment: ConnectionEnvironment,
): Autostart | undefined {
  if (environment.variables.LIBVIRT_AUTOSTART === '0') return undefined;
  const direct = uri.driver === 'remote' ? 'virtproxyd' : `virt${uri.driver}d`;
  const wanted = [
    ...(mode === 'legacy' ? [] : [{ daemon: direct, socket: sockets.direct }]),
    ...(mode === 'direct' ? [] : [{ daemon: 'libvirtd', socket: sockets.legacy }]),
  ];
  for (const { daemon, socket } of wanted) {
    const program = findDaemon(daemon, environment);
    // 120 s is what libvirt's own client gives a daemon it starts before the daemon ends for want of work.
    if (program !== undefined) return { argv: [program, '--timeout=120'], socket };
  }
  return undefined;
}

// VIRTD_PATH, and LIBVIRTD_PATH before it, name the directory of the daemons (remote_sockets.c).
function findDaemon(name: string, { variables, exists }: ConnectionEnvironment): string | undefined {
  const given = variables.VIRTD_PATH ?? variables.LIBVIRTD_PATH;
  const path = (variables.PATH ?? '').split(':').filter((one) => one.startsWith('/'));
  const directories = given === undefined ? ['/usr/sbin', '/usr/local/sbin', ...path] : [given];
  return directories.map((directory) => `${directory}/${name}`).find(exists);
}
