// Before a chain is shortened: everything that can be refused is refused here; the rest becomes the move's record.
import { randomBytes } from 'node:crypto';
import { describeSource } from '@blockferry/libvirt';
import { formatLocation } from '@blockferry/qemu';
import { mustNotMigrate } from '../migrate/under-way.ts';
import { Refusal } from '../model/errors.ts';
import type { ImageRef, MoveRecord } from '../model/record.ts';
import type { Context } from '../run/context.ts';
import { refAt, undeclaredIn } from '../storage/chain-refs.ts';
import type { Preflight } from './preflight.ts';
import { checkShorten, holdsBitmaps, type Span } from './shorten-checks.ts';
import type { ShortenRequest } from './shorten-request.ts';
import { checkShortenRoom } from './shorten-room.ts';
import { gather, type Situation } from './situation.ts';
import { checkSource } from './source-checks.ts';
import { underWay } from './under-way.ts';
import type { Warning } from './warning.ts';

export interface ShortenPreflight extends Preflight {
  readonly running: boolean;
}

/** @throws Refusal, with nothing touched */
export async function preflightShorten(context: Context, asked: ShortenRequest): Promise<ShortenPreflight> {
  const connection = await context.link.connection();
  const situation = await gather(connection, context.host, asked);
  checkOpenMoves(situation);
  // Of the images that stay, a commit and a pull leave the snapshots inside alone: that is asked for each apart.
  checkSource(situation, { scope: 'chain' }, 'layered');
  const images = imagesOf(situation);
  const span = spanOf(images, situation, asked);
  await checkShorten(situation, asked, span);
  const bytes = await checkShortenRoom(situation, asked, span);
  const move = recordOf(situation, asked, images, span);
  const { running } = situation.definitions;
  return {
    move,
    running,
    warnings: warningsFor(situation, asked, span),
    why: running ? 'one block job of QEMU' : 'the domain is off: qemu-img does it',
    bytes,
    capacity: situation.capacity,
    chain: images,
  };
}

function checkOpenMoves({ open, disk, definitions }: Situation): void {
  mustNotMigrate(definitions);
  const other = open.find((one) => one.disk === disk.target || one.jobMode === 'undefine');
  if (other !== undefined) throw underWay(other);
}

/** Top first. @throws Refusal */
function imagesOf(situation: Situation): readonly ImageRef[] {
  const { chain, host, live, disk } = situation;
  if (host === undefined || chain === undefined) {
    const why = 'this connection gives no way to look who else uses the images of the chain';
    throw new Refusal('no-host', why, {}, 'run it on that host, or over ssh');
  }
  if (chain.length > 1)
    return chain.map((each, depth) => nameOf(situation, depth) ?? refAt({ disk }, each, depth));
  const why = `${disk.target} of ${live.name} is one image: there is no chain to shorten`;
  throw new Refusal('no-chain', why, { domain: live.name, disk: disk.target });
}

/** In the words of the live definition, where there is one: it is asked again and again which images are left. */
function nameOf({ disk, chain, definitions }: Situation, depth: number): ImageRef | undefined {
  const told = disk.chain[depth];
  const isWhole = definitions.running && disk.chain.length === chain?.length;
  return isWhole && told !== undefined ? { source: told.source, format: told.format ?? 'raw' } : undefined;
}

/** Which images leave, and which takes their data. @throws Refusal `no-such-image`, `wrong-order` */
function spanOf(images: readonly ImageRef[], situation: Situation, { how }: ShortenRequest): Span {
  const last = images.length - 1;
  const at = (name: string | undefined, otherwise: number) =>
    name === undefined ? otherwise : placeOf(images, situation, name);
  if (how.kind === 'pull') {
    const below = at(how.base, images.length);
    mustBeBelow(below, 1, `there is nothing between ${how.base} and the active image`);
    return { first: 1, end: below, into: 0 };
  }
  const top = at(how.top, 0);
  const base = at(how.base, how.shallow ? top + 1 : last);
  mustBeBelow(base, top, `${how.base ?? 'the base'} is not below ${how.top ?? 'the top'}`);
  if (base > last) throw new Refusal('wrong-order', `there is nothing below ${how.top}`);
  return { first: top, end: base, into: base };
}

function mustBeBelow(one: number, other: number, words: string): void {
  if (one <= other) throw new Refusal('wrong-order', words);
}

function placeOf(images: readonly ImageRef[], { disk }: Situation, name: string): number {
  const found = images.findIndex(
    ({ source }, depth) =>
      describeSource(source) === name || `${disk.target}[${disk.chain[depth]?.index}]` === name,
  );
  if (found !== -1) return found;
  const names = images.map(({ source }) => describeSource(source));
  throw new Refusal(
    'no-such-image',
    `${name} is no image of the chain of ${disk.target}`,
    { images: names },
    `its images, top first: ${names.join(', ')}`,
  );
}

function recordOf(
  situation: Situation,
  { how, bandwidth, deleteSource, keepRelative, hold }: ShortenRequest,
  chain: readonly ImageRef[],
  { first, end, into }: Span,
): MoveRecord {
  const [origin, destination] = [chain[first], chain[into]];
  if (origin === undefined || destination === undefined) throw new Error('both are in the chain');
  const { definitions, live, disk } = situation;
  const undeclared = undeclaredIn(situation, situation.chain);
  return {
    version: 1,
    id: randomBytes(4).toString('hex'),
    domain: { name: live.name, uuid: definitions.domain.uuid },
    disk: disk.target,
    strategy: how.kind,
    shorten: { chain, keepRelative },
    scope: how.kind === 'pull' ? 'flatten' : 'chain',
    origin,
    destination,
    // It was there before, and is nobody's to remove.
    ownership: { kind: 'reused' },
    sources: chain.slice(first, end),
    ...(undeclared.length > 0 && { undeclared }),
    jobMode: 'plain',
    options: {
      ...(bandwidth !== undefined && { bandwidth }),
      synchronousWrites: false,
      converge: false,
      deleteSource,
    },
    destinationXml: '',
    phase: 'copying',
    goal: hold ? 'hold' : 'pivot',
  };
}

function warningsFor(
  { chain, disk, definitions }: Situation,
  { keepRelative, how, bandwidth = 0n }: ShortenRequest,
  { first, end }: Span,
): Warning[] {
  const above = chain?.[first - 1];
  const warnings: Warning[] = [];
  if (above?.backing?.relative === true && !keepRelative && end < (chain?.length ?? 0)) {
    const message = `${describeSource(disk.chain[first - 1]?.source ?? { kind: 'file', path: '' })} names what is below it relative to itself; it will name it absolutely. --keep-relative keeps it so`;
    warnings.push({ code: 'backing-becomes-absolute', message });
  }
  const taker = how.kind === 'commit' ? chain?.[end] : undefined;
  const loses = taker !== undefined && !holdsBitmaps(taker);
  if (loses && chain?.slice(first, end).some(({ bitmaps }) => bitmaps.length > 0)) {
    const message = `persistent bitmaps of the images that are committed are lost: ${formatLocation(taker.image.location)} has no place for them`;
    warnings.push({ code: 'bitmaps-lost', message });
  }
  if (how.kind === 'pull' && !definitions.running && bandwidth > 0n) {
    const message =
      'the domain is off, and qemu-img rebase goes as fast as it can: --bandwidth does not hold for it';
    warnings.push({ code: 'no-bandwidth', message });
  }
  return warnings;
}
