// Finds the open move that a verb means, or the moves of several disks that move as one.
import {
  type Change,
  type Context,
  changeGoal,
  findMoves,
  type MoveRecord,
  Refusal,
  togetherWith,
} from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';

/** A move, or those that move together with it. */
export type OpenMoves = readonly [MoveRecord, ...MoveRecord[]];

/**
 * For what is done to a move as a whole: one of several disks that move as one is not a whole.
 *
 * @throws Refusal as `openMoveOf` does, and `part-of-group`
 */
export async function openMovesOf(
  context: Context,
  domain: string,
  disk: string | undefined,
): Promise<OpenMoves> {
  const [set, ...more] = disk === undefined ? togetherWith(await findMoves(context, domain)) : [];
  if (set !== undefined && more.length === 0) return set;
  const move = await openMoveOf(context, domain, disk);
  const { group } = move;
  if (group === undefined || group.disks.length === 1) return [move];
  const others = group.disks.filter((other) => other !== move.disk).join(', ');
  throw new Refusal(
    'part-of-group',
    `${move.disk} of ${move.domain.name} moves together with ${others}: all of them are switched, or none`,
    { disks: group.disks },
    `for all of them, leave ${move.disk} out`,
  );
}

/**
 * @param disk target dev or the path of either image; may be left out where only one move of the domain is open
 * @throws Refusal `no-open-move`, `which-disk`
 */
export async function openMoveOf(
  context: Context,
  domain: string,
  disk: string | undefined,
): Promise<MoveRecord> {
  const open = await findMoves(context, domain);
  const matching = open.filter((move) => disk === undefined || isAbout(move, disk));
  const [first, second] = matching;
  if (first === undefined) {
    const which = disk === undefined ? domain : `${disk} of ${domain}`;
    const disks = open.map((move) => move.disk);
    const hint = disks.length === 0 ? 'blockferry status shows the open moves' : `open: ${disks.join(', ')}`;
    throw new Refusal('no-open-move', `no move of ${which} is open`, { domain, disk }, hint);
  }
  if (second !== undefined) {
    const disks = matching.map((move) => move.disk);
    throw new Refusal(
      'which-disk',
      `several disks of ${domain} are being moved: ${disks.join(', ')}`,
      { domain, disks },
      `name one: blockferry … ${domain} ${disks[0]}`,
    );
  }
  return first;
}

function isAbout(move: MoveRecord, disk: string): boolean {
  return (
    move.disk === disk ||
    describeSource(move.origin.source) === disk ||
    describeSource(move.destination.source) === disk
  );
}

/** Changes what is wanted of each. A crash on the way leaves the rest, which the next run brings into line. */
export async function changeGoals(context: Context, moves: OpenMoves, change: Change): Promise<OpenMoves> {
  const [first, ...rest] = moves;
  const changed: [MoveRecord, ...MoveRecord[]] = [await changeGoal(context, first, change)];
  for (const move of rest) changed.push(await changeGoal(context, move, change));
  return changed;
}

/** Answers the question of those that ask it. @throws Refusal `not-asked` where none does */
export async function answer(
  context: Context,
  moves: OpenMoves,
  use: NonNullable<Change['use']>,
): Promise<OpenMoves> {
  const refusals: Refusal[] = [];
  const answered = await Promise.all(
    moves.map((move) =>
      changeGoal(context, move, { use }).catch((error: unknown) => {
        if (!(error instanceof Refusal)) throw error;
        refusals.push(error);
        return move;
      }),
    ),
  );
  const [first, ...rest] = answered;
  if (first === undefined || refusals.length === moves.length) throw refusals[0];
  return [first, ...rest];
}
