// Images as QEMU's blockdev trees (qapi/block-core.json, BlockdevOptions), with nothing left for QEMU to guess.
import { formatExactJson, type JsonInput } from '../json/exact-json.ts';
import { unreachable } from '../unreachable.ts';
import type { Image, Location, TlsCredentials } from './location.ts';

type BlockdevOptions = { readonly [option: string]: JsonInput | undefined };

/** A node's options, as `blockdev-add` takes them together with a node-name. */
export type Blockdev = BlockdevOptions & { readonly driver: string };

/** Options that a caller may set on the protocol node: cache, aio, read-only… */
export interface BlockdevTreeOptions {
  /**
   * The rest of the chain below a format that has backing files, next one first. With it, QEMU opens exactly these
   * with exactly these formats; without it, it opens none (`backing: null`). Where one is no file or device, QEMU takes
   * its place from the header of the image above (a filename in options is all that overrides the header's).
   */
  readonly backing?: readonly Image[];
  /** Follow the image's own backing reference, probing if it declares no format. Only where nothing is read. */
  readonly ownBacking?: boolean;
  readonly fileNode?: BlockdevOptions;
  readonly formatNode?: BlockdevOptions;
}

const FORMATS_WITH_BACKING: ReadonlySet<string> = new Set(['qcow2', 'qcow', 'qed', 'vmdk']);

/** The id of the TLS credentials object that a tree made here refers to; see toObjects. */
const TLS_OBJECT_ID = 'blockferry-tls';

/** Does this format have backing files? */
export function hasBacking(format: string): boolean {
  return FORMATS_WITH_BACKING.has(format);
}

/** The tree that opens an image with its declared format. Throws TypeError for a slice of anything but raw. */
export function toBlockdev(image: Image, options: BlockdevTreeOptions = {}): Blockdev {
  const { offset, size, format } = image;
  if ((offset !== undefined || size !== undefined) && format !== 'raw') {
    throw new TypeError(`a slice of a ${format} image: only raw images have slices`);
  }
  return {
    driver: format,
    ...(offset === undefined ? {} : { offset }),
    ...(size === undefined ? {} : { size }),
    ...keyMember(image),
    ...backingMember(image, options),
    ...options.formatNode,
    file: { ...toProtocolNode(image.location), ...options.fileNode },
  };
}

/** Refers to an object that is made for the passphrase beside the tree; see secretsFor. */
function keyMember({ format, passphrase }: Image): BlockdevOptions {
  if (passphrase === undefined) return {};
  const key = { 'key-secret': passphrase.objectId };
  return format === 'luks' ? key : { encrypt: { format: 'luks', ...key } };
}

function backingMember(image: Image, options: BlockdevTreeOptions): BlockdevOptions {
  if (!hasBacking(image.format) || options.ownBacking) return {};
  const [next, ...rest] = options.backing ?? [];
  if (next === undefined) return { backing: null };
  const { file, ...node } = toBlockdev(next, { backing: rest });
  return { backing: hasFilename(next.location) ? { ...node, file } : node };
}

function hasFilename(location: Location): boolean {
  return location.kind === 'file' || location.kind === 'block';
}

function toProtocolNode(location: Location): BlockdevOptions {
  switch (location.kind) {
    case 'file':
      return { driver: 'file', filename: absolute(location.path) };
    case 'block':
      return { driver: 'host_device', filename: absolute(location.path) };
    case 'nbd': {
      const { server, tls } = location;
      return {
        driver: 'nbd',
        server:
          'socket' in server
            ? { type: 'unix', path: server.socket }
            : { type: 'inet', host: server.host, port: String(server.port) },
        ...(location.export === '' ? {} : { export: location.export }),
        ...(tls ? { 'tls-creds': TLS_OBJECT_ID } : {}),
        ...(tls?.hostname === undefined ? {} : { 'tls-hostname': tls.hostname }),
      };
    }
    case 'rbd': {
      const { pool, namespace, image, snapshot, user, conf, monitors } = location;
      const server = monitors?.map(({ host, port }) => ({ host, port: String(port) }));
      return { driver: 'rbd', pool, namespace, image, snapshot, user, conf, server };
    }
    case 'json':
      return location.blockdev;
    default:
      return unreachable(location);
  }
}

function absolute(path: string): string {
  if (!path.startsWith('/')) throw new TypeError(`not an absolute path: ${path}`);
  if (path.includes('\0')) throw new TypeError('a path cannot contain a NUL character');
  return path;
}

/** `json:{…}`, which QEMU takes wherever it takes a file name, and in which no character of a path means anything. */
export function toJsonFilename(image: Image, options: BlockdevTreeOptions = {}): string {
  return `json:${formatExactJson(toBlockdev(image, options))}`;
}

/** The `--object` arguments that the trees of these images need. All must use the same credentials. */
export function toObjectArguments(...images: readonly Image[]): string[] {
  const directories = new Set(
    images.flatMap(({ location }) =>
      location.kind === 'nbd' && location.tls ? [location.tls.directory] : [],
    ),
  );
  if (directories.size > 1) throw new TypeError('images with different TLS credentials in one command');
  return [...directories].flatMap((dir) => ['--object', formatExactJson(tlsObject({ directory: dir }))]);
}

/** The credentials object, as QMP's object-add and `--object` take it. */
export function tlsObject({ directory }: TlsCredentials): BlockdevOptions {
  return { 'qom-type': 'tls-creds-x509', id: TLS_OBJECT_ID, endpoint: 'client', dir: directory };
}
