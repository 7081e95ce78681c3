// From what was asked for to two chains that can be compared, or a refusal that says what is missing.
import type { Connection } from '@blockferry/libvirt';
import {
  BrokenChain,
  type ChainImage,
  formatLocation,
  type Host,
  type Location,
  QemuImgError,
  readChain,
  UndeclaredFormat,
} from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { unreachable } from '../model/units.ts';
import { readDefinitions } from '../observe/definitions.ts';
import { placeOf } from '../observe/volumes.ts';
import { parseDestination } from '../preflight/destination-name.ts';
import { findDisk, findDomain } from '../preflight/situation.ts';
import type { Context } from '../run/context.ts';
import { readDiskChain } from '../storage/disk-chain.ts';
import { toOpenableImage } from '../storage/tls-credentials.ts';
import { toLocation, toSource } from '../storage/to-image.ts';
import type { Knowledge } from './knowledge.ts';
import type { ChainName } from './request.ts';

/** Top first. */
export type ReadChain = readonly [ChainImage, ...ChainImage[]];

export type NamedChain =
  | Extract<ChainName, { readonly kind: 'disk' }>
  | { readonly kind: 'image'; readonly location: Location; readonly format?: string };

/** What an image's name means. @throws Refusal; LibvirtError for a volume that is not there */
export async function placeNamed(context: Context, host: Host, name: ChainName): Promise<NamedChain> {
  if (name.kind === 'disk') return name;
  const { format } = name;
  const location = await locationOf(context, host, name.name);
  return { kind: 'image', location, ...(format !== undefined && { format }) };
}

/**
 * @param knowledge asked for the locations of both
 * @param option with which an image's format is declared, for hints
 * @throws Refusal; FileError, HostError, LibvirtError
 */
export async function resolveChain(
  context: Context,
  host: Host,
  knowledge: Knowledge,
  name: NamedChain,
  option: string,
): Promise<ReadChain> {
  const chain = await readable(
    name.kind === 'disk' ? ofDisk(context, host, name) : ofImage(host, knowledge, name, option),
  );
  const secret = chain.find(({ encryption }) => encryption !== null);
  if (secret === undefined) return chain;
  throw new Refusal(
    'encrypted',
    `${formatLocation(secret.image.location)} is encrypted: without its secret only the files themselves can be compared`,
    {},
    'compare those: --format raw --dest-format raw',
  );
}

async function ofDisk(
  { link }: Context,
  host: Host,
  { domain, disk: name }: ChainName & { kind: 'disk' },
): Promise<ReadChain> {
  const connection = await link.connection();
  const { uuid } = await findDomain(connection, domain);
  const definitions = await readDefinitions(connection, uuid);
  const xml = definitions?.live ?? definitions?.config;
  if (definitions === undefined || xml === undefined) throw new Error(`${domain} is gone`);
  const disk = findDisk(xml, name);
  if (disk.source === undefined) {
    throw new Refusal('not-a-disk', `${disk.target} of ${domain} has no medium`);
  }
  const [active, ...frozen] = await readDiskChain(host, disk, await placeOf(connection, disk.source));
  if (!definitions.running || disk.readonly) return [active, ...frozen];
  const [first, ...below] = frozen;
  if (first !== undefined) return [first, ...below];
  throw new Refusal(
    'nothing-frozen',
    `${domain} runs, and ${disk.target} is one image, to which it writes: there is nothing that holds still`,
    {},
    'shut it down; or compare an image of which you know that nobody writes to it: blockferry verify IMAGE IMAGE',
  );
}

/** @throws Refusal `no-such-image`, `format-undeclared`; as readChain */
export async function ofImage(
  host: Host,
  knowledge: Knowledge,
  { location, format: declared }: NamedChain & { kind: 'image' },
  option: string,
  hint = 'a disk of a domain is compared by: blockferry verify DOMAIN DISK IMAGE',
): Promise<ReadChain> {
  if (location.kind === 'file' && (await host.stat(location.path)) === null) {
    throw new Refusal('no-such-image', `${location.path} does not exist`, { path: location.path }, hint);
  }
  const format = declared ?? knowledge.formatOf(location, option);
  return readChain(host, await toOpenableImage(host, { source: toSource(location), format }), {
    formatOf: (below) => knowledge.backingFormat(below),
  });
}

async function locationOf({ link }: Context, host: Host, text: string): Promise<Location> {
  const name = parseDestination(text, host.isLocal ? process.cwd() : undefined);
  switch (name.kind) {
    case 'location':
      return name.location;
    case 'path':
      return { kind: 'file', path: name.path };
    case 'pool':
      return volume(await link.connection(), text, name);
    default:
      return unreachable(name);
  }
}

async function volume(
  connection: Connection,
  text: string,
  { pool, volume: name }: { readonly pool: string; readonly volume: string | undefined },
) {
  if (name === undefined) throw new Refusal('no-such-image', `${text} names a pool, and no volume of it`);
  return toLocation(await placeOf(connection, { kind: 'volume', pool, volume: name }));
}

/** @throws Refusal for what stands against reading the chain */
export async function readable(reading: Promise<ReadChain>): Promise<ReadChain> {
  try {
    return await reading;
  } catch (error) {
    const options = { cause: error };
    if (error instanceof UndeclaredFormat) {
      throw new Refusal('format-undeclared', error.message, {}, error.hint, options);
    }
    if (error instanceof BrokenChain || error instanceof QemuImgError) {
      throw new Refusal('chain-broken', error.message, {}, error.hint, options);
    }
    throw error;
  }
}
