// Connection URIs as libvirt defines them (libvirt.org/uri.html): driver[+transport]://[user@][host][:port]/path[?…].
import { ConnectionUriError } from './errors.ts';

const transports = ['unix', 'ssh', 'tls', 'tcp', 'libssh', 'libssh2', 'ext'] as const;
export type TransportName = (typeof transports)[number];

export type UriParameter = { readonly name: string; readonly value: string };

export type ConnectionUri = {
  /** The URI as it was given. */
  readonly text: string;
  /** `qemu`, `test`; `remote` lets the server choose. Spelt as in the URI. */
  readonly driver: string;
  /** Explicit or implied: unix without a host, TLS with one. */
  readonly transport: TransportName;
  readonly user?: string;
  /** Without the brackets of an IPv6 address. */
  readonly host?: string;
  readonly port?: number;
  /** As written, percent-encoding included: `/system`, `/session`. */
  readonly path: string;
  readonly fragment?: string;
  readonly parameters: readonly UriParameter[];
};

/**
 * Reads a connection URI. Aliases are not resolved here, see `resolveUri`.
 *
 * @throws ConnectionUriError `malformed`, `unknown-transport`, or `conflict` for a unix socket on another host.
 */
export function parseConnectionUri(text: string): ConnectionUri {
  // RFC 3986, appendix B; characters outside ASCII and some others must be percent-encoded, as libvirt insists.
  const match = /^([a-z][a-z0-9+.-]*):(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/i.exec(text);
  if (match === null || !/^[!#-;=?-[\]_a-z~]*$/i.test(text)) {
    throw new ConnectionUriError('malformed', text, 'not a URI', 'for example qemu:///system');
  }
  const [, scheme = '', authority = '', path = '', query = '', fragment] = match;
  const place = readAuthority(text, authority);
  const { driver, transport } = readScheme(text, scheme, place.host);
  return {
    text,
    driver,
    transport,
    ...place,
    path,
    ...(fragment === undefined ? {} : { fragment }),
    parameters: readQuery(text, query),
  };
}

function readScheme(
  text: string,
  scheme: string,
  host: string | undefined,
): { driver: string; transport: TransportName } {
  const [driver = '', explicit] = scheme.split(/\+(.*)/s);
  if (explicit === undefined) return { driver, transport: host === undefined ? 'unix' : 'tls' };
  const transport = transports.find((one) => one === explicit.toLowerCase());
  if (transport === undefined) {
    throw new ConnectionUriError(
      'unknown-transport',
      text,
      `unknown transport ${explicit}`,
      `one of ${transports.join(', ')}`,
    );
  }
  if (transport === 'unix' && host !== undefined) {
    const hint = `for another host use ${driver}+ssh://${host}/…`;
    throw new ConnectionUriError('conflict', text, 'a unix socket has no host', hint);
  }
  return { driver, transport };
}

function readAuthority(text: string, authority: string): { user?: string; host?: string; port?: number } {
  const match = /^(?:([^@]*)@)?(\[[^[\]]+\]|[^:@[\]]*)(?::(\d+))?$/.exec(authority);
  if (match === null) throw new ConnectionUriError('malformed', text, `bad host ${authority}`);
  const [, user, host = '', port] = match;
  const number = port === undefined ? 0 : Number(port);
  if (number > 65_535) throw new ConnectionUriError('malformed', text, `bad port ${port}`);
  return {
    ...(user === undefined ? {} : { user: decode(text, user) }),
    ...(host === '' ? {} : { host: decode(text, host.replace(/^\[|\]$/g, '')) }),
    // Port 0 means the default, as in libvirt.
    ...(number === 0 ? {} : { port: number }),
  };
}

// As virURIParseParams: ";" separates only where no "&" follows any more, a parameter without "=" is empty, one
// without a name is dropped.
function readQuery(text: string, query: string): UriParameter[] {
  const parameters: UriParameter[] = [];
  for (let rest = query; rest !== ''; ) {
    const separator = rest.includes('&') ? '&' : ';';
    const end = rest.indexOf(separator);
    const part = end < 0 ? rest : rest.slice(0, end);
    rest = end < 0 ? '' : rest.slice(end + 1);
    const [name = '', value = ''] = part.split(/=(.*)/s);
    if (name !== '') parameters.push({ name: decode(text, name), value: decode(text, value) });
  }
  return parameters;
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    const error = new ConnectionUriError('malformed', text, `bad percent-encoding in ${part}`);
    error.cause = cause;
    throw error;
  }
}

/** The parameters libvirt's client keeps for itself (remote_driver.c, doRemoteOpen); the server gets the others. */
const consumed: ReadonlySet<string> = new Set([
  'name',
  'mode',
  'proxy',
  'socket',
  'command',
  'netcat',
  'keyfile',
  'known_hosts',
  'known_hosts_verify',
  'sshauth',
  'no_verify',
  'no_tty',
  'no_sanity',
  'pkipath',
  'tls_priority',
  'auth',
  'authfile',
]);

/** The value of a parameter the client consumes. Names do not depend on case; the last one wins, as in libvirt. */
export function uriParameter(uri: ConnectionUri, name: string): string | undefined {
  return uri.parameters.findLast((one) => one.name.toLowerCase() === name)?.value;
}

/**
 * A yes-or-no parameter: a number, 0 meaning no.
 *
 * @throws ConnectionUriError `bad-parameter` for anything but a number.
 */
export function uriFlag(uri: ConnectionUri, name: string): boolean {
  const value = uriParameter(uri, name);
  if (value === undefined) return false;
  if (!/^-?\d+$/.test(value)) {
    throw new ConnectionUriError('bad-parameter', uri.text, `${name}=${value} is not a number`, `${name}=1`);
  }
  return Number(value) !== 0;
}

/**
 * What CONNECT_OPEN is given as the name: `?name=`, or the URI without all that concerns only the way there.
 * Empty for the driver `remote`: the server probes.
 */
export function serverName(uri: ConnectionUri): string {
  const name = uriParameter(uri, 'name');
  if (name !== undefined) return name;
  if (uri.driver === 'remote') return '';
  const passed = uri.parameters
    .filter((one) => !consumed.has(one.name.toLowerCase()))
    .map((one) => `${one.name}=${encodeStrictly(one.value)}`);
  const query = passed.length === 0 ? '' : `?${passed.join('&')}`;
  const fragment = uri.fragment === undefined ? '' : `#${uri.fragment}`;
  return `${uri.driver}://${uri.path}${query}${fragment}`;
}

// encodeURIComponent leaves !'()* alone, which libvirt encodes in values.
function encodeStrictly(value: string): string {
  return encodeURIComponent(value).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
