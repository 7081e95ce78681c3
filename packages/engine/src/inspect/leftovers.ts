// What moves that ended badly left behind: journals whose move is open nowhere, and the copies they claim.
import { dirname, join } from 'node:path';
import { type DiskSource, type DomainXml, describeSource, sameSource } from '@blockferry/libvirt';
import { type Host, quoteArgument, quoteCommand, rbdRemoval } from '@blockferry/qemu';
import { copyJournalPath } from '../layers/index.ts';
import { fileBeside } from '../model/beside.ts';
import { messageOf, Refusal } from '../model/errors.ts';
import type { LayeredPart, MoveRecord } from '../model/record.ts';
import { allLayers, overlaysOf } from '../model/rounds.ts';
import { undoCommand } from '../model/undo-command.ts';
import { unreachable } from '../model/units.ts';
import { readDefinitions } from '../observe/definitions.ts';
import { readUsage, type Usage, usesOf } from '../observe/usage.ts';
import {
  destinationOfJournal,
  type Journal,
  type JournalPlace,
  journalPathFor,
  readJournal,
  removeJournal,
} from '../record/journal.ts';
import { readMetadata } from '../record/metadata.ts';
import { keep, strangerBehind, type Verdict } from '../record/verdict.ts';
import type { Context } from '../run/context.ts';
import { toLocation } from '../storage/to-image.ts';

export interface Leftover {
  readonly journal: JournalPlace;
  /** Undefined: the journal cannot be read, so nothing of it may be removed. */
  readonly move: MoveRecord | undefined;
  readonly verdict: Verdict;
}

/** @param target a domain (name or UUID), or a path: a destination, its journal, or a directory of them */
export async function findLeftovers(context: Context, target: string): Promise<Leftover[]> {
  const { openMoves, host } = context;
  const places = await (target.includes('/') ? placesAt(context, target) : openMoves.journals(target, host));
  const leftovers: Leftover[] = [];
  for (const place of places) {
    const found = await judge(context, place);
    if (found !== undefined) leftovers.push(found);
  }
  return leftovers;
}

/**
 * Looks once more, and removes what may be removed: the copy first, then its journal, then our note of it. May be
 * repeated; a crash in between leaves the journal, which leads here again.
 *
 * @returns what was removed
 */
export async function removeLeftover(context: Context, leftover: Leftover): Promise<string[]> {
  const now = await judge(context, leftover.journal);
  if (now === undefined || now.verdict.kind === 'keep') return [];
  const removed: string[] = [];
  for (const path of now.verdict.kind === 'remove-copy' ? now.verdict.paths : []) {
    for (const each of [path, copyJournalPath(path)]) {
      if (await leftover.journal.host.unlink(each)) removed.push(each);
    }
  }
  // Of a copy that is no file.
  const beside = now.move && fileBeside(now.move);
  const journal = beside === undefined ? undefined : copyJournalPath(beside);
  if (journal !== undefined && (await leftover.journal.host.unlink(journal))) removed.push(journal);
  await removeJournal(leftover.journal);
  removed.push(leftover.journal.path);
  if (now.move !== undefined && !(await isNoteOfAnother(context, now.move)))
    await context.openMoves.forget(now.move);
  return removed;
}

async function placesAt({ host }: Context, path: string): Promise<JournalPlace[]> {
  if (host === undefined) {
    throw new Refusal('no-host', 'this connection gives no way to look at files', {}, 'run it on that host');
  }
  const stat = await host.stat(path);
  if (stat?.type === 'directory') {
    const names = (await host.readdir(path)).map((name) => join(path, name));
    return names
      .filter((name) => destinationOfJournal(name) !== undefined)
      .map((name) => ({ host, path: name }));
  }
  return [{ host, path: destinationOfJournal(path) === undefined ? journalPathFor(path) : path }];
}

async function judge(context: Context, place: JournalPlace): Promise<Leftover | undefined> {
  let journal: Journal | undefined;
  try {
    journal = await readJournal(place);
  } catch (error) {
    return { journal: place, move: undefined, verdict: { kind: 'keep', why: messageOf(error) } };
  }
  if (journal === undefined) return undefined;
  return { journal: place, move: journal.record, verdict: await verdictOn(context, place, journal) };
}

async function verdictOn(context: Context, place: JournalPlace, journal: Journal): Promise<Verdict> {
  const { record } = journal;
  const { name } = record.domain;
  const connection = await context.link.connection();
  const definitions = await readDefinitions(connection, record.domain.uuid);
  const both = [definitions?.live, definitions?.config];
  if (both.some((xml) => xml !== undefined && showsMove(xml, record))) {
    return keep(`the move of ${record.disk} of ${name} is open`, continueOrUndo(record));
  }
  if (journal.definition !== undefined) {
    return keep(`it holds the definition of ${name}, which must be defined again`, continueOrUndo(record));
  }
  const complete = mayBeTruth(record);
  if (complete !== undefined) {
    const answer = record.copy === undefined ? ' --use source|destination' : '';
    return keep(complete, `look at it; then blockferry resume ${quoteArgument(name)}${answer}`);
  }
  const copies = (record.layered ? allLayers(record.layered).map(({ to }) => to) : [record.destination]).map(
    ({ source }) => source,
  );
  const usage = await readUsage(connection, context.host, copies);
  return verdictOnCopies(place, journal, usage, copies);
}

/** The record is in its metadata, or its live mirror copies to the destination. */
function showsMove(xml: DomainXml, record: MoveRecord): boolean {
  if (readMetadata(xml, record.disk)?.record.id === record.id) return true;
  const mirror = xml.disk(record.disk)?.mirror?.source;
  return mirror !== undefined && sameSource(mirror, record.destination.source);
}

/** From the order to pivot on, the destination may hold writes that exist nowhere else. */
function mayBeTruth({ phase, goal, destination }: MoveRecord): string | undefined {
  const name = describeSource(destination.source);
  const complete = `${name} is a complete copy that was asked for`;
  switch (phase) {
    case 'freezing':
    case 'copying':
      return undefined;
    case 'undoing':
      return goal === 'keep' ? complete : undefined;
    case 'pivoting':
    case 'collapsing':
    case 'landing':
    case 'returning':
    case 'settling':
      return `the guest may have run on ${name}`;
    case 'canceled':
      return goal === 'keep' ? complete : undefined;
    default:
      return unreachable(phase);
  }
}

async function verdictOnCopies(
  place: JournalPlace,
  journal: Journal,
  usage: Usage,
  copies: readonly DiskSource[],
): Promise<Verdict> {
  const { destination, ownership, layered } = journal.record;
  const { source } = destination;
  const name = describeSource(source);
  if (ownership.kind === 'volume') {
    const hint = `virsh vol-delete --pool ${quoteArgument(ownership.pool)} ${quoteArgument(ownership.volume)}`;
    return keep(`${name} is a volume of pool ${ownership.pool}`, hint);
  }
  if (ownership.kind === 'rbd-image') return keep(`${name} is an RBD image`, rbdHint(source));
  const beside = fileBeside(journal.record);
  if (beside === undefined || (ownership.kind === 'reused' && layered === undefined)) {
    return { kind: 'remove-journal' };
  }
  // A journal speaks for the files beside it and for no others: anybody may have put it there.
  if (destinationOfJournal(place.path) !== beside) {
    return keep(`it names ${beside}, which is not the file it stands beside`);
  }
  const stranger = await strangerBehind(place);
  if (stranger !== undefined) return keep(`its journal was written by another user (${stranger})`);
  if (layered !== undefined) {
    const kept = await overlayThatIsThere(place, layered);
    if (kept !== undefined) {
      return keep(`${kept} may hold what the guest wrote while its images were copied`);
    }
  }
  return verdictOnFiles(place, journal, usage, copies);
}

async function overlayThatIsThere({ host }: JournalPlace, part: LayeredPart): Promise<string | undefined> {
  for (const { source } of overlaysOf(part)) {
    const there = source.kind === 'file' ? await host.stat(source.path) : null;
    if (there !== null && there.size > 0n) return describeSource(source);
  }
  return undefined;
}

/** Of the files that are beside the journal: all that are ours go, unless one of them is in use. */
async function verdictOnFiles(
  place: JournalPlace,
  journal: Journal,
  usage: Usage,
  copies: readonly DiskSource[],
): Promise<Verdict> {
  const paths: string[] = [];
  const notes: string[] = [];
  for (const source of copies) {
    if (source.kind !== 'file' || dirname(source.path) !== dirname(place.path)) continue;
    const claim = await claimOf(place.host, journal, source.path);
    if (claim !== 'ours') {
      if (claim !== undefined) notes.push(claim);
      continue;
    }
    const use = usesOf(usage, source)[0];
    if (use !== undefined) {
      return keep(`${source.path} is used by ${use.domain} for ${use.disk} (${use.definition} definition)`);
    }
    paths.push(source.path);
  }
  const [note] = notes;
  if (paths.length === 0) return { kind: 'remove-journal', ...(note !== undefined && { note }) };
  const [unknown] = usage.unknown;
  if (unknown === undefined) return { kind: 'remove-copy', paths };
  const whose = `${unknown.disk} of ${unknown.domain}`;
  return keep(`${paths.join(', ')} may be used: the chain of ${whose} cannot be read (${unknown.why})`);
}

function rbdHint(source: DiskSource): string | undefined {
  const location = toLocation(source);
  return location.kind === 'rbd' ? quoteCommand(rbdRemoval(location)) : undefined;
}

/** Is the file that stands there the one we made? Undefined: there is none; else what it is. */
async function claimOf(host: Host, journal: Journal, path: string): Promise<'ours' | string | undefined> {
  const claimed = journal.files?.[path] ?? journal.claimed;
  const stat = await host.stat(path, { followSymlinks: false });
  if (stat === null) return undefined;
  if (claimed === undefined) return `${path} is there and not claimed by the journal`;
  const same = stat.device === claimed.device && stat.inode === claimed.inode;
  return same ? 'ours' : `${path} is another file than the one we made`;
}

function continueOrUndo(move: MoveRecord): string {
  return `go on: blockferry resume ${quoteArgument(move.domain.name)}; undo: ${undoCommand(move)}`;
}

/** Our note is kept by domain and disk: a later move of the same disk, or one that cannot be read, may have taken its place. */
async function isNoteOfAnother({ openMoves, host }: Context, move: MoveRecord): Promise<boolean> {
  for (const place of await openMoves.journals(move.domain.uuid, host)) {
    const other = await readJournal(place).catch(() => 'unreadable' as const);
    if (other === 'unreadable') return true;
    if (other !== undefined && other.record.disk === move.disk && other.record.id !== move.id) return true;
  }
  return false;
}
