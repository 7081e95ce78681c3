// Finds out what the destination is, and makes of it what libvirt and the record need. Looks only.
import { join } from 'node:path';
import { type DiskDefinition, type DiskSource, DomainXmlError, parseDiskXml } from '@blockferry/libvirt';
import { type FileStat, quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { ImageRef, Ownership } from '../model/record.ts';
import { toSource } from '../storage/to-image.ts';
import { type DestinationName, parseDestination } from './destination-name.ts';
import { lookAt, mustHaveDirectory } from './look.ts';
import { inPool } from './pool-destination.ts';
import { onRbd, rbdSource } from './rbd-destination.ts';
import type { MoveRequest } from './request.ts';
import type { Situation } from './situation.ts';
import { fileNameOf, sourceFormat } from './source-image.ts';
import type { Warning } from './warning.ts';

export interface Destination {
  readonly image: ImageRef;
  readonly ownership: Ownership;
  /** What stands at the path now; null: nothing. Undefined where we cannot look, or it is no path. */
  readonly stat: FileStat | null | undefined;
  readonly warnings?: readonly Warning[];
  /** Bytes that its storage allocates at once, as far as that was seen. */
  readonly clusterSize?: bigint;
}

/** @throws Refusal for every destination that cannot be meant. Touches nothing. */
export async function resolveDestination(situation: Situation, request: MoveRequest): Promise<Destination> {
  if (request.destinationXml !== undefined) return fromXml(situation, request, request.destinationXml);
  if (request.destination === undefined) throw new Refusal('bad-destination', 'no destination was given');
  const workingDirectory = situation.host?.isLocal ? process.cwd() : undefined;
  const name = parseDestination(request.destination, workingDirectory);
  switch (name.kind) {
    case 'path':
      return atPath(situation, request, name);
    case 'pool':
      return inPool(situation, request, name.pool, name.volume ?? fileNameOf(situation));
    case 'location': {
      const format = request.format ?? 'raw';
      if (name.location.kind === 'rbd') {
        return onRbd(situation, request, { source: rbdSource(situation.live, name.location), format });
      }
      return {
        image: { source: toSource(name.location), format },
        ownership: { kind: 'reused' },
        stat: undefined,
      };
    }
  }
}

async function atPath(
  situation: Situation,
  request: MoveRequest,
  name: DestinationName & { kind: 'path' },
): Promise<Destination> {
  const { host } = situation;
  if (host === undefined) {
    const path = name.directory ? join(name.path, fileNameOf(situation, request.copy)) : name.path;
    return fileDestination(situation, request, path, undefined);
  }
  const stat = await lookAt(host, name.path);
  if (stat?.type === 'directory') {
    const path = join(name.path, fileNameOf(situation, request.copy));
    return fileDestination(situation, request, path, await lookAt(host, path));
  }
  if (name.directory) {
    throw new Refusal(
      'no-such-directory',
      `${name.path} is not a directory`,
      {},
      `make it: mkdir -p ${quoteArgument(name.path)}`,
    );
  }
  if (stat === null) await mustHaveDirectory(host, name.path);
  return fileDestination(situation, request, name.path, stat);
}

function fileDestination(
  situation: Situation,
  request: MoveRequest,
  path: string,
  stat: FileStat | null | undefined,
): Destination {
  const block = stat?.type === 'block';
  const format = request.format ?? (block ? 'raw' : sourceFormat(situation));
  const source: DiskSource = { kind: block ? 'block' : 'file', path };
  const reused = block || request.reuseExternal;
  return { image: { source, format }, ownership: reused ? { kind: 'reused' } : { kind: 'created' }, stat };
}

/** The XML goes to libvirt as it is, so it must say everything that our own would. */
async function fromXml(situation: Situation, request: MoveRequest, xml: string): Promise<Destination> {
  const { host } = situation;
  const disk = parseXml(xml);
  const { source } = disk;
  if (source === undefined) throw badXml('names no source');
  const format = declaredFormat(disk, request.format);
  if (source.kind === 'file' && !request.reuseExternal && disk.slices.length > 0) {
    throw badXml('asks for a slice of a file that is not there', 'make the file, and give --reuse-external');
  }
  if (source.kind === 'network' && source.protocol === 'rbd')
    return onRbd(situation, request, { source, format });
  const created = source.kind === 'file' && !request.reuseExternal;
  const ownership: Ownership = created ? { kind: 'created' } : { kind: 'reused' };
  if (source.kind !== 'file' && source.kind !== 'block')
    return { image: { source, format }, ownership, stat: undefined };
  if (!source.path.startsWith('/')) throw badXml(`names ${source.path}, which is not an absolute path`);
  if (host === undefined) return { image: { source, format }, ownership, stat: undefined };
  const stat = await lookAt(host, source.path);
  if (stat === null) await mustHaveDirectory(host, source.path);
  return { image: { source, format }, ownership, stat };
}

function parseXml(xml: string): DiskDefinition {
  try {
    return parseDiskXml(xml);
  } catch (error) {
    if (!(error instanceof DomainXmlError)) throw error;
    throw badXml(`is no <disk> element: ${error.message}`);
  }
}

/** Without a format in the XML, libvirt would probe the destination, whatever --format says. */
function declaredFormat({ driver }: DiskDefinition, wanted: string | undefined): string {
  if (driver.format === undefined) {
    throw new Refusal(
      'format-undeclared',
      'the destination XML declares no format',
      {},
      "add <driver name='qemu' type='…'/>",
    );
  }
  if (wanted !== undefined && wanted !== driver.format)
    throw badXml(`declares the format ${driver.format}, and --format says ${wanted}`);
  return driver.format;
}

function badXml(what: string, hint?: string): Refusal {
  return new Refusal('bad-destination', `the destination XML ${what}`, {}, hint);
}
