// The part of a look at the host that every strategy needs: both definitions, libvirt's word on the job, the record.
import { type Connection, ErrorCode, isLibvirtError } from '@blockferry/libvirt';
import { type MoveRecord, newest } from '../model/record.ts';
import type { Stamp, World } from '../model/world.ts';
import { type Journal, readJournal, type SavedDefinition } from '../record/journal.ts';
import { readMetadata, type StoredRecord } from '../record/metadata.ts';
import { type Context, journalPlace } from '../run/context.ts';
import { type Definitions, type JobInfo, readDefinitions } from './definitions.ts';
import { isHang } from './hang.ts';
import type { Memory } from './memory.ts';

export interface Seen {
  readonly definitions: Definitions | undefined;
  readonly info: JobInfo | null;
  readonly journal: Journal | undefined;
  /** The definition kept aside, wherever it was found. */
  readonly saved: SavedDefinition | undefined;
  /** The record as it stands on the host: another verb may have changed or ended the move. */
  readonly stored: MoveRecord | undefined;
  readonly recorded: World['recorded'];
  readonly sameInstance: boolean;
}

/** @throws ConnectionClosed, LibvirtError, HostError, RecordUnreadable */
export async function see(
  context: Context,
  connection: Connection,
  move: MoveRecord,
  memory: Memory,
): Promise<Seen> {
  const [definitions, journal] = await Promise.all([
    readDefinitions(connection, move.domain.uuid),
    readJournalOf(context, move, memory),
  ]);
  const { live, config } = definitions ?? {};
  const info = definitions?.running
    ? await definitions.domain.blockJobInfo(move.disk).catch(noSuchDisk)
    : null;
  const own = (found: StoredRecord | undefined) => (found?.record.id === move.id ? found : undefined);
  const inLive = own(live && readMetadata(live, move.disk));
  const inConfig = own(config && readMetadata(config, move.disk));
  const ownJournal = journal?.record.id === move.id ? journal : undefined;
  return {
    definitions,
    info,
    journal: ownJournal,
    saved: ownJournal?.definition ?? (await context.openMoves.definition(move)),
    stored: newest([inLive?.record, inConfig?.record, ownJournal?.record]),
    recorded: {
      live: live ? stampOf(inLive?.record) : 'unavailable',
      config: config ? stampOf(inConfig?.record) : 'unavailable',
      journal: memory.journalStuck ? 'unavailable' : stampOf(ownJournal?.record),
    },
    sameInstance: inLive?.mark === true,
  };
}

/** A journal on storage that hangs is as good as none: the record in the domain's metadata carries the move. */
async function readJournalOf(
  context: Context,
  move: MoveRecord,
  memory: Memory,
): Promise<Journal | undefined> {
  try {
    return await readJournal(journalPlace(context, move));
  } catch (error) {
    if (!isHang(error)) throw error;
    memory.journalStuck = true;
    return undefined;
  }
}

function stampOf(record: MoveRecord | undefined): Stamp | undefined {
  return record && { phase: record.phase, goal: record.goal };
}

/** A disk that was unplugged has no job; what became of it shows in the definition. */
function noSuchDisk(error: unknown): null {
  if (isLibvirtError(error, ErrorCode.INVALID_ARG) || isLibvirtError(error, ErrorCode.OPERATION_INVALID))
    return null;
  throw error;
}
