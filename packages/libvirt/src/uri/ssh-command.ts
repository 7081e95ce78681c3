// The ssh command line that reaches a remote daemon, and the script it runs over there.
import { type ConnectionUri, serverName, uriFlag, uriParameter } from './connection-uri.ts';
import { ConnectionUriError } from './errors.ts';
import { socketNames } from './unix-sockets.ts';

export type SshPlan = {
  readonly kind: 'ssh';
  /** `user@host`, for messages. */
  readonly where: string;
  readonly argv: readonly string[];
};

export function sshPlan(uri: ConnectionUri, readOnly: boolean): SshPlan {
  const host = uri.host ?? 'localhost';
  const user = uri.user ?? (uri.transport === 'ssh' ? undefined : 'root');
  const keyfile = uriParameter(uri, 'keyfile');
  const argv = [
    uriParameter(uri, 'command') ?? 'ssh',
    ...(uri.port === undefined ? [] : ['-p', String(uri.port)]),
    ...(user === undefined ? [] : ['-l', user]),
    ...(keyfile === undefined ? [] : ['-i', keyfile]),
    '-T',
    '-e',
    'none',
    ...(uriFlag(uri, 'no_tty') ? ['-o', 'BatchMode=yes'] : []),
    ...(uriFlag(uri, 'no_verify') ? ['-o', 'StrictHostKeyChecking=no'] : []),
    ...libraryOptions(uri),
    '--',
    host,
    `sh -c ${quoteForShell(remoteScript(uri, readOnly))}`,
  ];
  return { kind: 'ssh', where: user === undefined ? host : `${user}@${host}`, argv };
}

/** Parameters that only the libssh transports know, as options of OpenSSH. @throws ConnectionUriError `bad-parameter` */
export function libraryOptions(uri: ConnectionUri): string[] {
  if (uri.transport === 'ssh') return [];
  const options: string[] = [];
  const knownHosts = uriParameter(uri, 'known_hosts');
  if (knownHosts !== undefined) options.push('-o', `UserKnownHostsFile="${knownHosts}"`);
  const verify = uriParameter(uri, 'known_hosts_verify') ?? 'normal';
  const strictness: Readonly<Record<string, string>> = { normal: '', auto: 'accept-new', ignore: 'no' };
  const strict = strictness[verify];
  if (strict === undefined) {
    const reason = `unknown known_hosts_verify ${verify}`;
    throw new ConnectionUriError('bad-parameter', uri.text, reason, 'normal, auto or ignore');
  }
  if (strict !== '') options.push('-o', `StrictHostKeyChecking=${strict}`);
  const methods = uriParameter(uri, 'sshauth');
  if (methods !== undefined) {
    const ways = methods.split(',').map((way) => (way === 'agent' || way === 'privkey' ? 'publickey' : way));
    options.push('-o', `PreferredAuthentications=${[...new Set(ways)].join(',')}`);
  }
  return options;
}

function remoteScript(uri: ConnectionUri, readOnly: boolean): string {
  const proxy = uriParameter(uri, 'proxy') ?? 'auto';
  const [socket, netcat] = [uriParameter(uri, 'socket'), uriParameter(uri, 'netcat')];
  const helper = helperCommand(uri, readOnly);
  switch (proxy) {
    case 'native':
      if (socket === undefined) return `exec ${helper}`;
      // libvirt 9.0's helper would ignore the socket and reach another daemon without a word.
      throw new ConnectionUriError('conflict', uri.text, 'proxy=native cannot be told a socket');
    case 'netcat':
      return netcatScript(uri, readOnly);
    case 'auto': {
      if (socket !== undefined || netcat !== undefined) return netcatScript(uri, readOnly);
      const fallback = isRemoteSession(uri) ? sessionNeedsHelper : netcatScript(uri, readOnly);
      return `if command -v virt-ssh-helper >/dev/null 2>&1; then exec ${helper}; fi; ${fallback}`;
    }
    default:
      throw new ConnectionUriError(
        'bad-parameter',
        uri.text,
        `unknown proxy ${proxy}`,
        'auto, native or netcat',
      );
  }
}

function helperCommand(uri: ConnectionUri, readOnly: boolean): string {
  return `virt-ssh-helper ${readOnly ? '-r ' : ''}${quoteForShell(serverName(uri))}`;
}

function isRemoteSession(uri: ConnectionUri): boolean {
  return uri.path === '/session' && uriParameter(uri, 'socket') === undefined;
}

const sessionNeedsHelper =
  'echo "virt-ssh-helper is not installed on this host; a session cannot be reached without it" >&2; exit 127';

function netcatScript(uri: ConnectionUri, readOnly: boolean): string {
  if (isRemoteSession(uri)) {
    const reason = 'netcat cannot know where the session daemon of another host listens';
    throw new ConnectionUriError('conflict', uri.text, reason, 'give its path with ?socket=');
  }
  const nc = quoteForShell(uriParameter(uri, 'netcat') ?? 'nc');
  const given = uriParameter(uri, 'socket');
  // Some netcats stay when their input ends unless told -q0, others do not know the option.
  const connect =
    `if ${nc} -q 2>&1 | grep -q "requires an argument"; then exec ${nc} -q0 -U "$s"; fi; ` +
    `exec ${nc} -U "$s"`;
  if (given !== undefined) return `s=${quoteForShell(given)}; ${connect}`;
  const names = socketNames(uri.driver, readOnly ? '-ro' : '');
  const [direct, legacy] = [names.direct, names.legacy].map((name) =>
    quoteForShell(`/var/run/libvirt/${name}`),
  );
  return `s=${direct}; if ! test -S "$s"; then s=${legacy}; fi; ${connect}`;
}

/**
 * Quotes a word for a POSIX shell. csh and fish, which may be the remote user's login shell, read it alike; a
 * backslash before the quote would mean something else to fish when quoted twice.
 */
export function quoteForShell(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}
