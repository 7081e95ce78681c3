// Reads the DEST argument: a path, a pool's volume, or a URI that QEMU knows.
import { resolve } from 'node:path';
import { type Location, parseImageUri, UnknownImageName } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { DEFAULT_TLS_DIRECTORY } from '../storage/tls-credentials.ts';

export type DestinationName =
  /** Absolute. `directory` when the name ends in a slash. */
  | { readonly kind: 'path'; readonly path: string; readonly directory: boolean }
  | { readonly kind: 'pool'; readonly pool: string; readonly volume: string | undefined }
  | { readonly kind: 'location'; readonly location: Location };

const KNOWN = 'known are paths, pool:NAME/VOLUME, nbd://, nbd+unix://, nbds:// and rbd:POOL/IMAGE';

/**
 * @param workingDirectory against which a relative path is resolved; undefined when the host is another machine
 * @throws Refusal `bad-destination`
 */
export function parseDestination(text: string, workingDirectory: string | undefined): DestinationName {
  if (text === '') throw bad("''", 'it is empty');
  if (text.startsWith('pool:')) return parsePool(text);
  if (text.startsWith('/')) return path(text);
  try {
    const location = parseTlsUri(text) ?? parseImageUri(text);
    if (location !== null) return { kind: 'location', location };
  } catch (error) {
    if (!(error instanceof UnknownImageName)) throw error;
    throw bad(
      text,
      error.imageName === text ? error.why : error.message,
      `${KNOWN}; a file whose name contains a colon: ./${text}`,
    );
  }
  if (workingDirectory === undefined) throw bad(text, 'on another machine it must be absolute');
  return path(resolve(workingDirectory, text) + (text.endsWith('/') ? '/' : ''));
}

/**
 * `nbds://` and `nbds+unix://`, as the NBD project spells an export with TLS (QEMU has no such name), with the name that
 * the certificate must have, where it is not the host's: `?tls-hostname=NAME`.
 */
function parseTlsUri(text: string): Location | null {
  const [, transport, rest, query] = /^nbds(\+unix)?:\/\/([^?]*)(?:\?(.*))?$/s.exec(text) ?? [];
  if (rest === undefined) return null;
  const parameters = (query ?? '').split('&').filter((one) => one !== '');
  const [hostname, ...more] = parameters.filter((one) => one.startsWith(TLS_HOSTNAME));
  if (more.length > 0) throw new UnknownImageName(text, 'two names for the certificate');
  const others = parameters.filter((one) => one !== hostname).join('&');
  const location = parseImageUri(`nbd${transport ?? ''}://${rest}${others === '' ? '' : `?${others}`}`);
  if (location?.kind !== 'nbd') throw new UnknownImageName(text, 'not an NBD URI');
  const expected = hostname === undefined ? {} : { hostname: hostname.slice(TLS_HOSTNAME.length) };
  return { ...location, tls: { directory: DEFAULT_TLS_DIRECTORY, ...expected } };
}

const TLS_HOSTNAME = 'tls-hostname=';

function path(text: string): DestinationName {
  if (/[\0\n]/.test(text)) throw bad(text, 'a path with a line break or NUL cannot be given to libvirt');
  const directory = text.endsWith('/');
  return { kind: 'path', path: resolve(text), directory };
}

function parsePool(text: string): DestinationName {
  const [, pool, volume] = /^pool:([^/]+)(?:\/([^/]+))?$/.exec(text) ?? [];
  if (pool === undefined) throw bad(text, 'expected pool:NAME or pool:NAME/VOLUME');
  return { kind: 'pool', pool, volume };
}

function bad(text: string, why: string, hint?: string): Refusal {
  return new Refusal('bad-destination', `${text}: ${why}`, { destination: text }, hint);
}
