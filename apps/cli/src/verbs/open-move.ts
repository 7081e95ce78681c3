// Finds the open move that a verb means.
import { type Context, findMoves, type MoveRecord, Refusal } from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';

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
