// What cleanup found and did, for people.
import {
  type LeftImages,
  type Leftover,
  type MigrationLeftover,
  type RestoreRemains,
  unreachable,
  type Verdict,
} from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';

/** One leftover, and what is to become of it. */
export function leftoverText({ journal, move, verdict }: Leftover): string {
  const whose =
    move === undefined
      ? journal.path
      : `${move.domain.name} ${move.disk} to ${describeSource(move.destination.source)}`;
  return verdictText(whose, verdict, journal.path, 'an unfinished copy that nothing uses');
}

/** What a migration has left at its destination. */
export function migrationLeftoverText({ journal, record, verdict }: MigrationLeftover): string {
  const whose = record === undefined ? journal : `${record.domain.name} to ${record.away}`;
  return verdictText(whose, verdict, journal, 'unfinished copies of a migration that is open nowhere');
}

/** What a domain has left at home. */
export function leftImagesText({ note, verdict, stays }: LeftImages, deleteSource: boolean): string {
  const { domain, home, away } = note;
  const whose = `${domain.name}, migrated to ${away}`;
  const paths = note.images.map(({ path }) => `  ${path}\n`).join('');
  switch (verdict.kind) {
    case 'remove-copy':
      if (deleteSource) {
        const removed = verdict.paths.map((path) => `  remove ${path}\n`).join('');
        const others = stays.map(({ path, why }) => `  keep ${path}: it ${why}\n`).join('');
        return `${whose}: what it left at ${home}, and nothing uses\n${removed}${others}`;
      }
      return `${whose}: what it left at ${home} is kept as a way back\n${paths}  → once you no longer want it: blockferry cleanup ${quoteArgument(domain.name)} --delete-source\n`;
    case 'remove-journal':
      return `${whose}: what it left at ${home} is gone\n`;
    case 'keep':
      return `${whose}: what it left at ${home} is kept: ${verdict.why}\n${paths}${hintLine(verdict.hint)}`;
    default:
      return unreachable(verdict);
  }
}

function verdictText(whose: string, verdict: Verdict, journal: string, what: string): string {
  switch (verdict.kind) {
    case 'remove-copy':
      return `${whose}: ${what}\n${[...verdict.paths, journal].map((path) => `  remove ${path}\n`).join('')}`;
    case 'remove-journal': {
      const note = verdict.note === undefined ? 'its copy is gone' : `${verdict.note}, and stays`;
      return `${whose}: ${note}\n  remove ${journal}\n`;
    }
    case 'keep':
      return `${whose}: kept: ${verdict.why}\n${hintLine(verdict.hint)}`;
    default:
      return unreachable(verdict);
  }
}

function hintLine(hint: string | undefined): string {
  return hint === undefined ? '' : `  → ${hint}\n`;
}

/** What a restore that died has left. */
export function remainsText({ path, plan, used }: RestoreRemains): string {
  const files = used ? [] : plan.disks.map((disk) => disk.path);
  const what = used ? 'the journal of a restore that is complete' : 'a restore that was never complete';
  return `${plan.name}: ${what}\n${[...files, path].map((each) => `  remove ${each}\n`).join('')}`;
}

/** What a restore has left that died as it asked libvirt about a definition. */
export function trialText({ name }: { readonly name: string }): string {
  return `${name}: defined for a moment by a restore that died; it never ran, and has no images\n  undefine ${name}\n`;
}
