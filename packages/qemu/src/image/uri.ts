// The names that QEMU understands for images that are not plain files: nbd and rbd URIs, old and new.
// (QEMU: "Network Block Device" and "RBD" in docs/system/device-url-syntax.rst.inc.)
import {
  formatHostPort,
  type Location,
  type NbdLocation,
  type NbdServer,
  type RbdLocation,
} from './location.ts';

const NBD_PORT = 10809;
const RBD_MONITOR_PORT = 6789;

/** A name that has a protocol we do not know, or whose rest cannot be understood. */
export class UnknownImageName extends Error {
  override readonly name = 'UnknownImageName';
  readonly imageName: string;
  /** Without the name. */
  readonly why: string;
  readonly hint = 'Known are absolute paths, nbd://, nbd+unix://, rbd: and json:{…}.';

  constructor(imageName: string, why: string) {
    super(`${imageName}: ${why}`);
    this.imageName = imageName;
    this.why = why;
  }
}

/** The protocol of an image's name as QEMU sees it (path_has_protocol): what stands before the first ':' or '/'. */
export function protocolOf(name: string): string | null {
  return /^([^:/]*):/.exec(name)?.[1] ?? null;
}

/**
 * Reads a name with a protocol; null for a plain path (relative or absolute). `json:` is not for here (backing.ts).
 * Throws UnknownImageName for every other protocol.
 */
export function parseImageUri(name: string): Location | null {
  const protocol = protocolOf(name);
  switch (protocol) {
    case null:
      return null;
    case 'nbd':
      return name.startsWith('nbd://') ? parseNbdUri(name) : parseOldNbd(name);
    case 'nbd+tcp':
    case 'nbd+unix':
      return parseNbdUri(name);
    case 'rbd':
      return parseRbd(name);
    default:
      throw new UnknownImageName(name, `unknown protocol '${protocol}'`);
  }
}

function parseNbdUri(name: string): NbdLocation {
  const match = /^nbd(\+tcp|\+unix)?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(name);
  if (!match) throw new UnknownImageName(name, 'not an NBD URI');
  const [, transport, authority = '', exportPath = '', query = ''] = match;
  const exportName = decode(name, exportPath);
  if (transport === '+unix') {
    if (authority !== '') throw new UnknownImageName(name, 'nbd+unix takes no host');
    const socket = queryValue(name, query, 'socket');
    if (!socket) throw new UnknownImageName(name, 'nbd+unix needs ?socket=PATH');
    return { kind: 'nbd', server: { socket }, export: exportName };
  }
  if (query !== '') throw new UnknownImageName(name, 'an NBD URI over TCP takes no query');
  return { kind: 'nbd', server: parseHostPort(name, authority, NBD_PORT), export: exportName };
}

/** `nbd:HOST:PORT[:exportname=NAME]` and `nbd:unix:PATH[:exportname=NAME]`. */
function parseOldNbd(name: string): NbdLocation {
  const mark = ':exportname=';
  const at = name.indexOf(mark);
  const address = name.slice('nbd:'.length, at < 0 ? undefined : at);
  const exportName = at < 0 ? '' : name.slice(at + mark.length);
  const server: NbdServer = address.startsWith('unix:')
    ? { socket: address.slice('unix:'.length) }
    : parseHostPort(name, address, null);
  if ('socket' in server && server.socket === '') throw new UnknownImageName(name, 'no socket path');
  return { kind: 'nbd', server, export: exportName };
}

function parseHostPort(name: string, text: string, defaultPort: number | null) {
  const match = /^(?:\[([^\]]+)\]|([^:[\]@]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (host === undefined || port === null || port < 1 || port > 65535) {
    throw new UnknownImageName(name, `not HOST:PORT: '${text}'`);
  }
  return { host: decode(name, host), port };
}

function queryValue(name: string, query: string, key: string): string | null {
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=');
    if (pair.slice(0, equals) !== key) throw new UnknownImageName(name, `unknown parameter '${pair}'`);
    return decode(name, pair.slice(equals + 1));
  }
  return null;
}

function decode(name: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) throw new UnknownImageName(name, 'malformed %-escape');
    throw error;
  }
}

/** `rbd:POOL/[NAMESPACE/]IMAGE[@SNAPSHOT][:OPTION=VALUE…]`, a backslash taking away the next character's meaning. */
function parseRbd(name: string): RbdLocation {
  const [place = '', ...options] = splitUnescaped(name.slice('rbd:'.length), ':');
  const [names = '', snapshot] = splitUnescaped(place, '@');
  const parts = splitUnescaped(names, '/').map(unescapeRbd);
  const [pool, namespace, image] = parts.length === 2 ? [parts[0], undefined, parts[1]] : parts;
  if (!pool || !image || parts.length > 3) throw new UnknownImageName(name, 'not rbd:POOL/IMAGE');
  const values = new Map(options.map((option) => rbdOption(name, option)));
  const user = values.get('id');
  const conf = values.get('conf');
  const monitors = values
    .get('mon_host')
    ?.split(/[;,]/)
    .map((text) => parseHostPort(name, text, RBD_MONITOR_PORT));
  return {
    kind: 'rbd',
    pool,
    image,
    ...(namespace ? { namespace } : {}),
    ...(snapshot === undefined ? {} : { snapshot: unescapeRbd(snapshot) }),
    ...(user === undefined ? {} : { user }),
    ...(conf === undefined ? {} : { conf }),
    ...(monitors ? { monitors } : {}),
  };
}

function rbdOption(name: string, option: string): [string, string] {
  const [key = '', ...value] = splitUnescaped(option, '=');
  if (!['id', 'conf', 'mon_host'].includes(key)) {
    throw new UnknownImageName(name, `RBD option '${key}' belongs into a ceph.conf (conf=PATH)`);
  }
  return [key, unescapeRbd(value.join('='))];
}

function splitUnescaped(text: string, separator: string): string[] {
  const parts = [''];
  for (const [piece] of text.matchAll(/\\?./gsu)) {
    if (piece === separator) parts.push('');
    else parts.push((parts.pop() ?? '') + piece);
  }
  return parts;
}

const unescapeRbd = (text: string): string => text.replace(/\\(.)/gs, '$1');
const escapeRbd = (text: string): string => text.replace(/[\\:@/=]/g, '\\$&');

/**
 * The name under which `qemu-img create` makes an image, which takes no json: name. Parses back to the same location.
 * Null where there is no such name (json locations, TLS).
 */
export function toCreatableName(location: Location): string | null {
  switch (location.kind) {
    case 'file':
    case 'block':
      return location.path;
    case 'nbd': {
      const { server, tls } = location;
      if (tls) return null;
      const name = encodeURIComponent(location.export);
      return 'socket' in server
        ? `nbd+unix:///${name}?socket=${encodeURIComponent(server.socket)}`
        : `nbd://${formatHostPort(server)}/${name}`;
    }
    case 'rbd':
      return formatRbd(location);
    case 'json':
      return null;
  }
}

function formatRbd({ pool, namespace, image, snapshot, user, conf, monitors }: RbdLocation): string {
  const names = [pool, ...(namespace === undefined ? [] : [namespace]), image].map(escapeRbd).join('/');
  const options = [
    user === undefined ? '' : `:id=${escapeRbd(user)}`,
    conf === undefined ? '' : `:conf=${escapeRbd(conf)}`,
    monitors ? `:mon_host=${escapeRbd(monitors.map(formatHostPort).join(';'))}` : '',
  ];
  return `rbd:${names}${snapshot === undefined ? '' : `@${escapeRbd(snapshot)}`}${options.join('')}`;
}
