// The move has ended: its snapshots come along, then the record goes, the journal last but for the note that leads to it.
import { LibvirtError } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import type { Outcome } from '../model/decision.ts';
import { messageOf } from '../model/errors.ts';
import type { Seen } from '../observe/seen.ts';
import { removeJournal } from '../record/journal.ts';
import { removeMetadata } from '../record/metadata.ts';
import { journalPlace } from '../run/context.ts';
import { settleSnapshots } from '../snapshots/index.ts';
import type { Scene } from './act.ts';

/** May be repeated. A crash on the way leaves the journal, whose phase leads here again. */
export async function close(scene: Scene<Seen>, outcome: Outcome): Promise<void> {
  const { context, move, observation } = scene;
  const { definitions, saved } = observation;
  if (outcome.kind === 'moved') await settleSnapshots(scene);
  if (definitions !== undefined) {
    // libvirt 9.0 writes the definition of an undefined domain to disk again when its block job changes, and has it back
    // after a restart of its daemon: then it was not restored by us.
    if (saved?.autostart && definitions.persistent) await definitions.domain.setAutostart(true);
    await removeMetadata(definitions.domain, move.disk, {
      live: definitions.running,
      config: definitions.persistent,
    });
  }
  await removeJournal(journalPlace(context, move));
  // The journal would be a volume too. A crash in between leaves it to the pool's next refresh.
  await tellPool(scene);
  await context.openMoves.forget(move);
}

/**
 * libvirt finds the files that stand in the directory of a pool, or are gone from it, when it looks at it the next time
 * (virStoragePoolRefresh). A pool that cannot be refreshed is no reason to leave the move open.
 */
async function tellPool({ context, move, warn }: Scene<Seen>): Promise<void> {
  const { ownership } = move;
  if (ownership.kind !== 'created' || ownership.pool === undefined) return;
  const connection = await context.link.connection();
  try {
    await (await connection.lookupStoragePoolByName(ownership.pool)).refresh();
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    const hint = `virsh pool-refresh ${quoteArgument(ownership.pool)}`;
    warn('pool-not-refreshed', `libvirt does not know the volume yet (${messageOf(error)}): ${hint}`);
  }
}
