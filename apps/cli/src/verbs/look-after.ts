// What can be seen once a move has ended: which image the guest runs on, and which sources are still there.
import {
  type Context,
  fileBeside,
  filesMadeBy,
  journalPathFor,
  type MoveRecord,
  readDefinitions,
  sidesOf,
  toLocation,
} from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import { type Host, lookAtRbd, quoteCommand, rbdRemoval } from '@blockferry/qemu';
import type { Result } from '../outcome/result.ts';
import { formatBytes } from '../views/format.ts';

const LOOK_WITHIN_MS = 5_000;

/** The active image of the disk by the live definition; undefined when the domain is off or cannot be asked. */
export async function imageInUse(context: Context, move: MoveRecord): Promise<string | undefined> {
  try {
    const connection = await context.link.connection();
    const definitions = await readDefinitions(connection, move.domain.uuid);
    const source = definitions?.live?.disk(move.disk)?.source;
    return source && describeSource(source);
  } catch {
    // It was asked for after a failure, to say more about it; what failed is said in any case.
    return undefined;
  }
}

/** The sources that are still there, and those that are gone. Those that cannot be looked at count as kept: nothing deletes them. */
export async function sourcesLeft(
  context: Context,
  move: MoveRecord,
): Promise<Pick<Result, 'sourcesKept' | 'removals' | 'sourcesDeleted'>> {
  const [sourcesKept, sourcesDeleted]: [string[], string[]] = [[], []];
  for (const { source } of move.sources) {
    const deleted =
      move.options.deleteSource &&
      source.kind === 'file' &&
      context.host !== undefined &&
      (await context.host.stat(source.path).catch(() => undefined)) === null;
    (deleted ? sourcesDeleted : sourcesKept).push(describeSource(source));
  }
  return { sourcesKept, removals: imageRemovals(move), sourcesDeleted };
}

/** Another cluster may have an image of the same name: the command says in which it is. */
function imageRemovals({ sources }: MoveRecord): string[] {
  return sources.flatMap(({ source }) => {
    const location = toLocation(source);
    return location.kind === 'rbd' ? [quoteCommand(rbdRemoval(location))] : [];
  });
}

/** Files of ours that are there although the move has gone back: each was kept for a reason that was told. */
export async function leftoversOf({ host }: Context, move: MoveRecord): Promise<string[]> {
  if (host === undefined) return [];
  const image = await imageLeft(host, move);
  const beside = move.ownership.kind === 'created' || move.layered ? fileBeside(move) : undefined;
  if (beside === undefined) return image;
  const made = move.layered === undefined ? [] : filesMadeBy(move.layered);
  const more = made.flatMap((each) => (each.source.kind === 'file' ? [each.source.path] : []));
  const paths = [...new Set([beside, ...more, journalPathFor(beside)])];
  const stats = await Promise.all(paths.map((path) => host.stat(path).catch(() => null)));
  return [...image, ...paths.filter((_, index) => stats[index] !== null)];
}

async function imageLeft(host: Host, { ownership, destination: { source } }: MoveRecord): Promise<string[]> {
  const location = ownership.kind === 'rbd-image' && ownership.claimed ? toLocation(source) : undefined;
  if (location?.kind !== 'rbd') return [];
  const look = await lookAtRbd(host, location, LOOK_WITHIN_MS);
  return look.kind === 'there' ? [describeSource(source)] : [];
}

/** What can be seen of the two images between which a person must decide. */
export async function sideFacts(context: Context, move: MoveRecord): Promise<string[]> {
  const [source, destination] = sidesOf(move);
  const sides = [
    ['source', source],
    ['destination', destination],
  ] as const;
  const facts = await Promise.all(sides.map(([side, image]) => imageFact(context, side, image)));
  const definition = await nextBoot(context, move);
  return definition === undefined ? facts : [...facts, definition];
}

async function imageFact({ host }: Context, side: string, { source }: MoveRecord['origin']): Promise<string> {
  const name = `${side} ${describeSource(source)}`;
  if (host === undefined || source.kind !== 'file') return `${name}: cannot be looked at from here`;
  const stat = await host.stat(source.path).catch(() => undefined);
  if (stat === undefined) return `${name}: cannot be looked at now`;
  if (stat === null) return `${name}: is gone`;
  const written = new Date(Number(stat.mtimeNs / 1_000_000n)).toISOString();
  return `${name}: last written ${written}, ${formatBytes(stat.allocated)} allocated`;
}

async function nextBoot({ link }: Context, move: MoveRecord): Promise<string | undefined> {
  try {
    const definitions = await readDefinitions(await link.connection(), move.domain.uuid);
    const source = (definitions?.config ?? definitions?.live)?.disk(move.disk)?.source;
    if (definitions === undefined || source === undefined)
      return `${move.domain.name} is not defined any more`;
    const state = definitions.running ? 'runs' : 'is off';
    return `${move.domain.name} ${state}; its definition names ${describeSource(source)}`;
  } catch {
    // Asked to say more about a question that is put in any case.
    return undefined;
  }
}
