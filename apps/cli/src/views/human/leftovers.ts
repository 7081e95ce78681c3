// What cleanup found and did, for people.
import { type Leftover, type RestoreRemains, unreachable } from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';

/** One leftover, and what is to become of it. */
export function leftoverText({ journal, move, verdict }: Leftover): string {
  const whose =
    move === undefined
      ? journal.path
      : `${move.domain.name} ${move.disk} to ${describeSource(move.destination.source)}`;
  switch (verdict.kind) {
    case 'remove-copy':
      return `${whose}: an unfinished copy that nothing uses\n${[...verdict.paths, journal.path].map((path) => `  remove ${path}\n`).join('')}`;
    case 'remove-journal': {
      const note = verdict.note === undefined ? 'its copy is gone' : `${verdict.note}, and stays`;
      return `${whose}: ${note}\n  remove ${journal.path}\n`;
    }
    case 'keep': {
      const hint = verdict.hint === undefined ? '' : `  → ${verdict.hint}\n`;
      return `${whose}: kept: ${verdict.why}\n${hint}`;
    }
    default:
      return unreachable(verdict);
  }
}

/** What a restore that died has left. */
export function remainsText({ path, plan, used }: RestoreRemains): string {
  const files = used ? [] : plan.disks.map((disk) => disk.path);
  const what = used ? 'the journal of a restore that is complete' : 'a restore that was never complete';
  return `${plan.name}: ${what}\n${[...files, path].map((each) => `  remove ${each}\n`).join('')}`;
}
