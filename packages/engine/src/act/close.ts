// The move has ended: its snapshots come along, then the record goes, the journal, and last the note that leads to it.
import type { Outcome } from '../model/decision.ts';
import type { Seen } from '../observe/seen.ts';
import { removeJournal } from '../record/journal.ts';
import { removeMetadata } from '../record/metadata.ts';
import { journalPlace } from '../run/context.ts';
import { settleSnapshots } from '../snapshots/index.ts';
import type { Scene } from './act.ts';
import { tellPools } from './tell-pools.ts';

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
  await context.openMoves.forget(move);
  // Last: the journal would be a volume too, and a libvirtd that goes away leaves it to the pool's next refresh.
  await tellPools(scene, outcome);
}
