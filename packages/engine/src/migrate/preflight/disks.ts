// The disks of a domain that migrates: which images are copied, what they are called there, and which are there already.
import { basename, dirname, join } from 'node:path';
import type { DiskDefinition } from '@blockferry/libvirt';
import { copyJournalPath, standingOf } from '../../layers/index.ts';
import { Refusal } from '../../model/errors.ts';
import type { ImageRef, Layer } from '../../model/record.ts';
import type { Bytes } from '../../model/units.ts';
import { cannotBeCopiedBytewise } from '../../preflight/bytewise.ts';
import { mustCommitBack } from '../../preflight/copy-on-read.ts';
import { lookAt, mustHaveDirectory, mustKnowDirectIo, mustServe } from '../../preflight/look.ts';
import { mustBeReachable } from '../../preflight/reach.ts';
import { gather, type Situation } from '../../preflight/situation.ts';
import { checkSource } from '../../preflight/source-checks.ts';
import { lockedLike, refAt } from '../../storage/chain-refs.ts';
import { planOf } from '../copies.ts';
import type { Pair } from '../pair.ts';
import { type DomainState, type MigratedDisk, pathOf } from '../record.ts';
import type { MigrationRequest } from '../request.ts';
import { atDestination } from './destination.ts';
import { mustHaveShortNames } from './names.ts';
import { mustKeepSecrets } from './secrets.ts';

export interface ExaminedDisk {
  readonly disk: MigratedDisk;
  readonly situation: Situation;
  /** To be copied. */
  readonly bytes: Bytes;
}

/** Disks that are copied: what the guest writes to. Media and read-only disks must be there under the same path. */
export function isCopied({ device, readonly, source }: DiskDefinition): boolean {
  return device === 'disk' && !readonly && source !== undefined;
}

/**
 * @param before disks whose copies bring bases that this one may stand on too
 * @throws Refusal; nothing is touched
 */
export async function examineDisk(
  pair: Pair,
  request: MigrationRequest,
  target: string,
  id: string,
  before: readonly ExaminedDisk[],
): Promise<ExaminedDisk> {
  const connection = await pair.home.link.connection();
  const situation = await gather(connection, pair.home.host, { domain: request.domain, disk: target });
  checkSource(situation, { scope: 'chain' }, 'layered');
  await mustCommitBack(situation);
  mustBeFiles(situation);
  mustBeWhole(situation);
  mustKeepSecrets(situation);
  const { chain = [] } = situation;
  const all = chain.map((each, at): Layer => layerOf(situation, request, each, at));
  const { layers, shared } = await withoutShared(pair, all, request.verify, before);
  const top = refAt(situation, chain[0] ?? fail(), 0);
  const overlay = { home: overlayOn(top, id), away: overlayOn(layers[0].to, id) };
  mustHaveShortNames({ layers, overlay });
  for (const { to } of layers) {
    await mustBeFree(pair, to, situation.disk.driver.cache);
    await atDestination(mustBeReachable(pair.away.host, situation.live, to.source));
  }
  const bytes = chain
    .slice(0, layers.length)
    .reduce((sum, { allocated }) => sum + (allocated ?? situation.capacity), 0n);
  return { disk: { target, origin: top, layers, shared, overlay }, situation, bytes };
}

function overlayOn(below: ImageRef, id: string): ImageRef {
  const path = `${pathOf(below)}.${id}.overlay`;
  return lockedLike(below.source, { source: { kind: 'file', path }, format: 'qcow2' });
}

function mustBeFiles({ disk, chain }: Situation): void {
  const isFile = chain?.every(({ image }) => image.location.kind === 'file') ?? false;
  if (disk.source?.kind === 'file' && isFile) return;
  throw new Refusal(
    'not-files',
    `${disk.target} is not made of files only`,
    {},
    'move it into files first, on either host: blockferry move',
  );
}

function mustBeWhole(situation: Situation): void {
  const unfit = cannotBeCopiedBytewise(situation, { scope: 'chain' });
  if (unfit === undefined) return;
  throw new Refusal('unsupported-format', unfit, {}, 'make one image of it first: blockferry move --flatten');
}

function layerOf(
  situation: Situation,
  request: MigrationRequest,
  each: NonNullable<Situation['chain']>[number],
  at: number,
): Layer {
  const from = refAt(situation, each, at);
  const below = situation.chain?.[at + 1];
  const to = placeThere(from, request);
  if (each.backing === null || below === undefined) return { from, to, how: 'bytes' };
  const next = placeThere(refAt(situation, below, at + 1), request);
  // A relative link stays one where both images come to one directory, as they were.
  const [one, other] = [pathOf(to), pathOf(next)];
  const isRelative = each.backing.relative && dirname(one) === dirname(other);
  const reference = isRelative ? basename(other) : other;
  // To us LUKS is a property of an image, to headers a format: they keep the word that they have.
  const format = next.source.encryption === undefined ? next.format : each.backing.format;
  return { from, to, how: 'bytes', backing: { reference, format } };
}

function placeThere(from: ImageRef, { destinationDirectory }: MigrationRequest): ImageRef {
  if (destinationDirectory === undefined) return from;
  const path = join(destinationDirectory, basename(pathOf(from)));
  return lockedLike(from.source, { source: { kind: 'file', path }, format: from.format });
}

/**
 * From the bottom up, as far as the journals there tell of copies of these very images, complete, verified, and as they were
 * left; or another disk brings them.
 */
async function withoutShared(
  pair: Pair,
  all: readonly Layer[],
  verify: boolean,
  before: readonly ExaminedDisk[],
): Promise<Pick<MigratedDisk, 'layers' | 'shared'>> {
  const [top, ...lower] = all;
  const shared: Layer[] = [];
  for (let base = lower.at(-1); base !== undefined; base = lower.at(-1)) {
    if (!isBroughtBy(before, base)) {
      const found = await standingOf(pair.home.host, planOf(pair.away, base), verify);
      if (found.kind !== 'as-left') break;
    }
    shared.unshift(base);
    lower.pop();
  }
  return { layers: [top ?? fail(), ...lower], shared };
}

/** Not as the image that another disk writes to. */
function isBroughtBy(disks: readonly ExaminedDisk[], { from, to }: Layer): boolean {
  const bases = disks.flatMap(({ disk }) => disk.layers.slice(1));
  return bases.some((base) => pathOf(base.from) === pathOf(from) && pathOf(base.to) === pathOf(to));
}

/** @throws Refusal `no-such-directory`, `destination-exists`, `destination-unusable`, `no-direct-io` */
async function mustBeFree({ away }: Pair, to: ImageRef, cache: string | undefined): Promise<void> {
  const path = pathOf(to);
  await atDestination(mustHaveDirectory(away.host, path));
  for (const each of [path, copyJournalPath(path)]) {
    if ((await lookAt(away.host, each)) === null) continue;
    throw new Refusal(
      'destination-exists',
      `the destination has a file ${each}`,
      { path: each },
      'choose another directory with --dest-dir; or remove it there, if nothing needs it',
    );
  }
  await atDestination(mustServe(away.host, path));
  // All images of the chain are opened as the disk is: it would show when all has been copied.
  if (cache === 'none' || cache === 'directsync') {
    await atDestination(mustKnowDirectIo(away.host, path, cache));
  }
}

/** Names of copies that two images, or an image and NVRAM, would share. @throws Refusal `names-clash` */
export function mustBeDistinct(disks: readonly MigratedDisk[], states: readonly DomainState[]): void {
  const layers = disks.flatMap((disk) => disk.layers);
  const state = states.find(({ path }) => layers.some(({ to }) => pathOf(to) === path));
  if (state !== undefined) {
    const message = `an image would be called ${state.path} there, where the firmware keeps its variables`;
    throw new Refusal('names-clash', message, {}, 'choose another directory with --dest-dir');
  }
  const clash = layers.find(({ to, from }) =>
    layers.some((other) => pathOf(other.to) === pathOf(to) && pathOf(other.from) !== pathOf(from)),
  );
  const twice = layers.find(
    ({ to }, at) => layers.findIndex((other) => pathOf(other.to) === pathOf(to)) !== at,
  );
  const found = clash ?? twice;
  if (found === undefined) return;
  throw new Refusal(
    'names-clash',
    clash === undefined
      ? `one disk writes to ${pathOf(found.from)}, and another uses it`
      : `two images would be called ${pathOf(found.to)} there`,
    {},
    clash === undefined
      ? 'give one of them an image of its own'
      : 'leave --dest-dir out, or rename one of them',
  );
}

function fail(): never {
  throw new Error('a chain has an image');
}
