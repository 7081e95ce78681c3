// Preflight for several disks of one domain that move as one: each alone, and then what they would be to each other.
import { randomBytes } from 'node:crypto';
import { basename, dirname } from 'node:path';
import { type DiskDefinition, type DomainXml, describeSource, sameSource } from '@blockferry/libvirt';
import { type Host, quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { ImageRef, MoveRecord } from '../model/record.ts';
import { readDefinitions } from '../observe/definitions.ts';
import type { Context } from '../run/context.ts';
import { parseDestination } from './destination-name.ts';
import { mustHoldAll } from './file-systems.ts';
import { lookAt } from './look.ts';
import { type Preflight, preflight } from './preflight.ts';
import type { MoveRequest } from './request.ts';
import { findDisk, findDomain } from './situation.ts';
import { numbersOf } from './system-use.ts';
import type { Warning } from './warning.ts';

export interface DiskTo {
  readonly disk: string;
  readonly destination: string;
}

/** Each disk with its destination; or every disk of the domain, into one directory. */
export type DisksTo = readonly DiskTo[] | { readonly allTo: string };

export interface GroupRequest {
  /** Name or UUID. */
  readonly domain: string;
  readonly disks: DisksTo;
  /** Pause the guest while its disks are switched. */
  readonly pause: boolean;
  /** What is asked for of each disk. */
  readonly each: Omit<MoveRequest, 'domain' | 'disk' | 'destination' | 'destinationXml'>;
}

export interface GroupPreflight {
  /** In the order in which the disks are switched. */
  readonly disks: readonly Preflight[];
  /** Drives of the domain that hold no disk. */
  readonly leftOut: readonly Warning[];
}

/** @throws Refusal, with nothing touched: one disk that cannot be moved refuses the whole */
export async function preflightGroup(context: Context, request: GroupRequest): Promise<GroupPreflight> {
  const { each, pause } = request;
  if (each.strategy === 'mirror') {
    throw new Refusal(
      'group-needs-layered',
      'several disks move as one by strategy layered only: a mirror cannot freeze them at one instant',
      {},
      'leave --strategy out',
    );
  }
  const { disks, leftOut } = await disksToMove(context, request);
  const { domain } = request;
  const looks = await Promise.allSettled(
    disks.map((one) => preflight(context, { ...each, domain, ...one, strategy: 'layered' })),
  );
  const others = disks.filter((_, at) => looks[at]?.status === 'fulfilled');
  const found = looks.map((look, at): Preflight => {
    if (look.status === 'rejected')
      throw forOneOf(look.reason, disks[at]?.disk ?? '', 'allTo' in request.disks ? others : []);
    return look.value;
  });
  await mustGoTogether(context, found);
  const why = each.strategy === 'layered' ? 'asked for' : 'it moves several disks as one';
  return { disks: asGroup(found, pause).map((one) => ({ ...one, why })), leftOut };
}

/**
 * Says which disk is meant, and gives no advice that is for a disk that moves alone.
 *
 * @param others that move without it, where nobody named one
 */
function forOneOf(reason: unknown, disk: string, others: readonly DiskTo[]): unknown {
  if (!(reason instanceof Refusal)) return reason;
  const { code, message, facts, hint } = reason;
  const named = message.includes(disk) ? message : `${disk}: ${message}`;
  const alone = `a mirror is for one disk: move ${disk} by itself`;
  const isForMirror = hint?.includes('--strategy mirror') === true;
  const rest = others.map((one) => quoteArgument(`${one.disk}=${one.destination}`));
  const hints = [
    ...(isForMirror ? [`${alone}, and ${hint}`] : hint === undefined ? [] : [hint]),
    ...(rest.length > 0 ? [`the others move without it: ${rest.join(' ')} instead of --all`] : []),
  ];
  return new Refusal(code, named, facts, hints.length === 0 ? undefined : hints.join('\n'), {
    cause: reason,
  });
}

/** They make different files, and there is room for all of them. @throws Refusal */
export async function mustGoTogether({ host }: Context, found: readonly Preflight[]): Promise<void> {
  if (host === undefined) throw new Error('strategy layered needs tools on the host');
  await mustBeApart(
    host,
    found.map(({ move }) => move),
  );
  await mustFit(host, found);
}

/** The same, each record with its part of what makes them one. */
export function asGroup(found: readonly Preflight[], pause: boolean): readonly Preflight[] {
  const disks = found.map(({ move }) => move.disk);
  const group = { id: randomBytes(4).toString('hex'), disks, pause };
  return found.map((one) => ({ ...one, move: { ...one.move, group } }));
}

/** The disks that the request means, by their targets, and the drives that `--all` leaves out. @throws Refusal */
export async function disksToMove(
  context: Context,
  { domain: name, disks: wanted }: Pick<GroupRequest, 'domain' | 'disks'>,
): Promise<{ readonly disks: readonly DiskTo[]; readonly leftOut: readonly Warning[] }> {
  const connection = await context.link.connection();
  const { uuid } = await findDomain(connection, name);
  const definitions = await readDefinitions(connection, uuid);
  const live = definitions?.live ?? definitions?.config;
  if (live === undefined) throw new Error(`${name} is gone`);
  if ('allTo' in wanted) return everyDisk(live, wanted.allTo, context);
  const disks = wanted.map(({ disk, destination }) => ({ disk: findDisk(live, disk).target, destination }));
  const twice = disks.find(({ disk }, at) => disks.findIndex((other) => other.disk === disk) !== at);
  if (twice === undefined) return { disks, leftOut: [] };
  throw new Refusal('disk-twice', `${twice.disk} is named twice`, { disk: twice.disk });
}

function everyDisk(live: DomainXml, directory: string, { host }: Context) {
  const all = live.disks();
  const leftOut = all.flatMap((disk): Warning[] => {
    const why = whyLeftOut(disk);
    return why === undefined ? [] : [{ code: 'left-out', message: `${disk.target} ${why}: it is left out` }];
  });
  const isPath = parseDestination(directory, host?.isLocal ? process.cwd() : undefined).kind === 'path';
  // A path that is no directory would be the file of each.
  const destination = isPath && !directory.endsWith('/') ? `${directory}/` : directory;
  const disks = all
    .filter((disk) => whyLeftOut(disk) === undefined)
    .map(({ target }) => ({ disk: target, destination }));
  if (disks.length > 0) return { disks, leftOut };
  throw new Refusal('no-such-disk', `${live.name} has no disk that could be moved`);
}

/** Of a disk that nobody named; undefined: it is one with contents of its own. */
export function whyLeftOut({ device, source }: DiskDefinition): string | undefined {
  if (device === 'cdrom') return 'is a CD-ROM drive';
  if (device === 'floppy') return 'is a floppy drive';
  return source === undefined ? 'is an empty drive' : undefined;
}

/** No two of them may write to one file or device, by whatever name it was given, nor to a device and a part of it. */
async function mustBeApart(host: Host, moves: readonly MoveRecord[]): Promise<void> {
  const taken = new Map<string, Made>();
  for (const { disk, layered } of moves) {
    if (layered === undefined) throw new Error('asked for in layers');
    const { layers, overlay, carrier } = layered;
    const made = [...layers, { to: overlay }, { to: carrier }].map((one): Made => ({ ...one, disk }));
    for (const one of made) {
      const keys = await keysOf(host, one.to);
      const other = keys.map((key) => taken.get(key)).find((each) => each !== undefined);
      if (other !== undefined) throw clash(other, one);
      taken.set(keys[0] ?? '', one);
    }
  }
}

/** A file that the move of a disk makes; `from`: what it is a copy of. */
interface Made {
  readonly disk: string;
  readonly to: ImageRef;
  readonly from?: ImageRef;
}

function clash(one: Made, other: Made): Refusal {
  const path = describeSource(other.to.source);
  const isShared = one.from && other.from && sameSource(one.from.source, other.from.source);
  return new Refusal(
    'names-clash',
    `${one.disk} and ${other.disk} would both be copied to ${path}`,
    { path, disks: [one.disk, other.disk] },
    isShared
      ? 'both stand on that image: move one after the other, and the second links to what the first has brought'
      : 'give each a place of its own',
  );
}

/** Each was found to fit alone. */
async function mustFit(host: Host, found: readonly Preflight[]): Promise<void> {
  const files = found.flatMap(({ move, bytes }) => {
    const path = pathOf(move.destination);
    // A device was found to be large enough.
    return path === undefined ? [] : [{ path, bytes }];
  });
  const hint = 'make room there, or choose another destination for some';
  await mustHoldAll(host, files, { what: 'the copies of all disks need', hint });
}

/** Its own first; of a device also those of its parts, and of what it is a part of. */
async function keysOf(host: Host, image: ImageRef): Promise<readonly string[]> {
  const path = pathOf(image);
  const name = describeSource(image.source);
  if (image.source.kind === 'block') return [...(await numbersOf(host, image.source.path)), name];
  if (path === undefined) return [name];
  const directory = await lookAt(host, dirname(path));
  return [`${directory?.device} ${directory?.inode} ${basename(path)}`];
}

function pathOf({ source }: ImageRef): string | undefined {
  return source.kind === 'file' ? source.path : undefined;
}
