// Finds out what the destination is, and makes of it what libvirt and the record need.
import { basename, dirname, join } from 'node:path';
import { type DiskSource, ErrorCode, isLibvirtError, parseDiskXml, poolTarget } from '@blockferry/libvirt';
import type { FileStat, Host } from '@blockferry/qemu';
import { messageOf, Refusal } from '../model/errors.ts';
import type { ImageRef, Ownership } from '../model/record.ts';
import { isHang } from '../observe/hang.ts';
import { toSource } from '../storage/to-image.ts';
import { type DestinationName, parseDestination } from './destination-name.ts';
import type { MoveRequest } from './request.ts';
import type { Situation } from './situation.ts';

export interface Destination {
  readonly image: ImageRef;
  readonly ownership: Ownership;
  /** What stands at the path now; null: nothing. Undefined where we cannot look, or it is no path. */
  readonly stat: FileStat | null | undefined;
}

/** Storage that does not answer within this time is refused: QEMU, and the guest with it, would wait for it. */
export const ANSWER_WITHIN_MS = 5_000;

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
      return inPool(situation, request, name);
    case 'location': {
      const image = { source: toSource(name.location), format: request.format ?? 'raw' };
      return { image, ownership: { kind: 'reused' }, stat: undefined };
    }
  }
}

async function atPath(
  situation: Situation,
  request: MoveRequest,
  name: DestinationName & { kind: 'path' },
): Promise<Destination> {
  const { host } = situation;
  if (host === undefined) return fileDestination(situation, request, name.path, undefined);
  await mustAnswer(host, name.path);
  const stat = await host.stat(name.path);
  if (stat?.type === 'directory') {
    const path = join(name.path, fileNameOf(situation));
    return fileDestination(situation, request, path, await host.stat(path));
  }
  if (name.directory) {
    throw new Refusal(
      'no-such-directory',
      `${name.path} is not a directory`,
      {},
      `make it: mkdir -p ${name.path}`,
    );
  }
  return fileDestination(situation, request, name.path, stat);
}

/** Looks at the nearest thing of the path that exists, in a process that may hang alone. */
async function mustAnswer(host: Host, path: string): Promise<void> {
  const stat = await host.stat(path, { timeoutMs: ANSWER_WITHIN_MS }).catch((error: unknown) => {
    throw isHang(error) ? silent(path, messageOf(error)) : error;
  });
  // A FIFO or device node would be opened by the probe: those are refused for what they are, further on.
  if (stat !== null && !['file', 'directory', 'block'].includes(stat.type)) return;
  if (stat === null && (await host.stat(dirname(path))) === null) {
    throw new Refusal(
      'no-such-directory',
      `${dirname(path)} does not exist`,
      {},
      `make it: mkdir -p ${dirname(path)}`,
    );
  }
  const probed = stat?.type === 'directory' ? join(path, 'probe') : path;
  const probe = await host.probeStorage(probed, ANSWER_WITHIN_MS);
  if (probe.ok) return;
  if (probe.why === 'hang') throw silent(path, probe.detail);
  throw new Refusal('destination-unusable', `${path} cannot be written: ${probe.detail}`);
}

function silent(path: string, detail: string): Refusal {
  return new Refusal(
    'destination-silent',
    `the storage of ${path} does not answer`,
    { detail },
    'bring it back first: a guest that is switched onto storage that hangs stops',
  );
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

async function inPool(
  situation: Situation,
  request: MoveRequest,
  name: DestinationName & { kind: 'pool' },
): Promise<Destination> {
  const { connection, chain } = situation;
  const volume = name.volume ?? fileNameOf(situation);
  try {
    const pool = await connection.lookupStoragePoolByName(name.pool);
    const target = poolTarget(await pool.getXmlDesc());
    const exists = await pool.lookupVolumeByName(volume).then(
      () => true,
      (error: unknown) => {
        if (isLibvirtError(error, ErrorCode.NO_STORAGE_VOL)) return false;
        throw error;
      },
    );
    if (exists && !request.reuseExternal) {
      throw new Refusal(
        'destination-exists',
        `the pool ${name.pool} has a volume ${volume} already`,
        {},
        'choose another name, or give --reuse-external to use it as it is',
      );
    }
    const files = target.type === 'dir' || target.type === 'fs' || target.type === 'netfs';
    if (target.path === undefined)
      throw new Refusal('unsupported-storage', `pools of type ${target.type} are not supported yet`);
    const source: DiskSource = { kind: files ? 'file' : 'block', path: join(target.path, volume) };
    const format = request.format ?? (files ? sourceFormat(situation) : 'raw');
    const below = request.scope === 'shallow' ? chain?.[1] : undefined;
    const backing = below && { path: pathOf(below.image.location), format: below.image.format };
    const ownership: Ownership = exists
      ? { kind: 'reused' }
      : {
          kind: 'volume',
          pool: name.pool,
          volume,
          capacity: situation.capacity,
          ...(backing && { backing }),
        };
    return { image: { source, format }, ownership, stat: undefined };
  } catch (error) {
    if (!isLibvirtError(error, ErrorCode.NO_STORAGE_POOL)) throw error;
    throw new Refusal(
      'no-such-pool',
      `there is no storage pool ${name.pool}`,
      {},
      'virsh pool-list --all shows the pools',
      { cause: error },
    );
  }
}

async function fromXml(situation: Situation, request: MoveRequest, xml: string): Promise<Destination> {
  const disk = parseDiskXml(xml);
  const { source } = disk;
  if (source === undefined) throw new Refusal('bad-destination', 'the destination XML names no source');
  const format = request.format ?? disk.driver.format;
  if (format === undefined) {
    throw new Refusal(
      'format-undeclared',
      'the destination XML declares no format',
      {},
      "add <driver type='…'/>, or give --format",
    );
  }
  const path = source.kind === 'file' || source.kind === 'block' ? source.path : undefined;
  const stat =
    path === undefined || situation.host === undefined ? undefined : await situation.host.stat(path);
  if (path !== undefined && situation.host !== undefined) await mustAnswer(situation.host, path);
  const created = source.kind === 'file' && !request.reuseExternal;
  return { image: { source, format }, ownership: created ? { kind: 'created' } : { kind: 'reused' }, stat };
}

function sourceFormat({ disk }: Situation): string {
  return disk.chain[0]?.format ?? disk.driver.format ?? 'raw';
}

function fileNameOf({ disk, live }: Situation): string {
  const { source } = disk;
  if (source?.kind === 'file') return basename(source.path);
  return `${live.name}-${disk.target}.${disk.chain[0]?.format ?? 'raw'}`;
}

function pathOf(location: { readonly kind: string; readonly path?: string }): string {
  if (location.path === undefined)
    throw new Refusal('unsupported-storage', 'a volume whose backing image is no file');
  return location.path;
}
