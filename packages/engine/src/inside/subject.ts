// What is looked into: the chain of a domain's disk, or of an image, with the formats that are declared.
import { type ChainImage, formatLocation, type Host, type Image } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { readDefinitions } from '../observe/definitions.ts';
import { placeOf } from '../observe/volumes.ts';
import { findBootDisk, findDisk, findDomain } from '../preflight/situation.ts';
import type { Context } from '../run/context.ts';
import { readDiskChain } from '../storage/disk-chain.ts';
import { ofImage, placeNamed, type ReadChain, readable } from '../verify/chains.ts';
import { Knowledge } from '../verify/knowledge.ts';

export interface SubjectRequest {
  /** A domain; else an image: a path, `pool:NAME/VOLUME` or a URI. */
  readonly name: string;
  /** Of a domain; its boot disk if undefined. */
  readonly disk?: string;
  /** Of an image, where no domain that uses it tells. */
  readonly format?: string;
}

export interface Subject {
  /** Top first. */
  readonly chain: readonly [Image, ...Image[]];
  /** For people. */
  readonly words: string;
  /** The running domain that writes to it. */
  readonly writer: string | undefined;
}

/** @throws Refusal; FileError, HostError, LibvirtError */
export async function findSubject(context: Context, host: Host, request: SubjectRequest): Promise<Subject> {
  const domain = request.name.includes('/') ? undefined : await domainNamed(context, request);
  if (domain === undefined) return imageSubject(context, host, request);
  if (request.format !== undefined) {
    const why = `the formats of its images are those that the definition of ${request.name} declares`;
    throw new Refusal('format-of-domain', why, {}, 'leave out --format');
  }
  return domain;
}

/** Undefined when there is no domain of that name, and it may be that of a file. */
async function domainNamed(context: Context, { name, disk }: SubjectRequest): Promise<Subject | undefined> {
  const connection = await context.link.connection();
  try {
    const { uuid } = await findDomain(connection, name);
    return await diskSubject(context, uuid, name, disk);
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'no-such-domain' || disk !== undefined) throw error;
    const isFile =
      context.host?.isLocal === true && (await context.host.stat(`${process.cwd()}/${name}`)) !== null;
    if (isFile || name.includes(':')) return undefined;
    throw error;
  }
}

async function diskSubject(
  { link, host }: Context,
  uuid: string,
  domain: string,
  name: string | undefined,
): Promise<Subject> {
  if (host === undefined) throw noHost();
  const connection = await link.connection();
  const definitions = await readDefinitions(connection, uuid);
  const xml = definitions?.live ?? definitions?.config;
  if (definitions === undefined || xml === undefined) throw new Error(`${domain} is gone`);
  const disk = name === undefined ? findBootDisk(xml) : findDisk(xml, name);
  if (disk.source === undefined) {
    throw new Refusal('not-a-disk', `${disk.target} of ${domain} has no medium`);
  }
  const chain = await readable(readDiskChain(host, disk, await placeOf(connection, disk.source)));
  const writer = definitions.running && !disk.readonly ? xml.name : undefined;
  return { chain: openable(chain), words: `${disk.target} of ${xml.name}`, writer };
}

async function imageSubject(
  context: Context,
  host: Host,
  { name, disk, format }: SubjectRequest,
): Promise<Subject> {
  if (disk !== undefined) {
    throw new Refusal(
      'disk-of-image',
      `${name} is an image: only a domain has disks`,
      {},
      'leave out --disk',
    );
  }
  const named = await placeNamed(context, host, {
    kind: 'image',
    name,
    ...(format !== undefined && { format }),
  });
  if (named.kind !== 'image') throw new Error(`${name} is no image`);
  const knowledge = await Knowledge.ask(context, [named.location]);
  const hint = 'a domain is named without a slash: blockferry list';
  const chain = await readable(ofImage(host, knowledge, named, '--format', hint));
  const [top] = chain;
  const writer = knowledge.writerOf({ location: top.image.location, stat: top.stat });
  return { chain: openable(chain), words: formatLocation(top.image.location), writer: writer?.domain };
}

/** @throws Refusal `encrypted` */
function openable(chain: ReadChain): readonly [Image, ...Image[]] {
  const secret = chain.find(({ encryption }) => encryption !== null);
  if (secret !== undefined) {
    const name = formatLocation(secret.image.location);
    throw new Refusal('encrypted', `${name} is encrypted: it is not opened for looking inside`);
  }
  const [top, ...below] = chain.map(({ image }: ChainImage) => image);
  if (top === undefined) throw new Error('a chain has an image');
  return [top, ...below];
}

export function noHost(): Refusal {
  return new Refusal('no-host', 'this connection gives no way to open images', {}, 'run it on that host');
}
