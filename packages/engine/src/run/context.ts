// What every effect of a move works with.
import type { Host } from '@blockferry/qemu';
import type { FollowLayers } from '../layered/follower.ts';
import { fileBeside } from '../model/beside.ts';
import type { MoveRecord } from '../model/record.ts';
import type { JournalPlace } from '../record/journal.ts';
import { journalPathFor } from '../record/journal.ts';
import type { OpenMoves } from '../record/open-moves.ts';
import type { Link } from './link.ts';

export interface Context {
  readonly link: Link;
  /** The machine that the domain runs on, where we can run programs; undefined over TLS or TCP. */
  readonly host: Host | undefined;
  readonly openMoves: OpenMoves;
  /** Makes somebody who follows the copies of frozen layers. */
  readonly follow?: FollowLayers;
}

/** The journal's place: beside a file of the move that we can reach, else in our own state directory. */
export function journalPlace(context: Context, record: MoveRecord): JournalPlace {
  const path = fileBeside(record);
  if (context.host !== undefined && path !== undefined && record.ownership.kind !== 'volume') {
    return { host: context.host, path: journalPathFor(path) };
  }
  return context.openMoves.placeFor(record);
}
