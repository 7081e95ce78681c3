// The list of domains for people.
import {
  type DiskSummary,
  type DomainSummary,
  type MigrationRecord,
  mayHaveRunAway,
} from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import { phaseWords } from '../../outcome/work-words.ts';
import { table } from './table.ts';

export function domainsText(domains: readonly DomainSummary[]): string {
  if (domains.length === 0) return 'there are no domains\n';
  return table([['DOMAIN', 'STATE', 'DISK', 'FORMAT', 'IMAGE', 'MOVE'], ...domains.flatMap(rowsOf)]);
}

function rowsOf(domain: DomainSummary): string[][] {
  const state = `${stateWord(domain.state)}${domain.persistent ? '' : ' (transient)'}`;
  const head = [domain.name, state];
  if (domain.disks.length === 0) return [[...head, '-', '', 'no disks', '']];
  return domain.disks.map((disk, index) => [
    ...(index === 0 ? head : ['', '']),
    disk.target,
    disk.format ?? '-',
    disk.source ?? `(no medium in the ${disk.device})`,
    migrationWords(disk, domain.migration) ?? moveWords(disk),
  ]);
}

/** libvirt's words, with `off` for its `shutoff`. */
function stateWord(state: DomainSummary['state']): string {
  return state === 'shutoff' ? 'off' : state;
}

/** A commit of a migration's overlay is a move of its own, and a part of the migration to whoever reads this. */
function migrationWords(
  { target, move }: DiskSummary,
  migration: DomainSummary['migration'],
): string | undefined {
  if (migration === undefined) return undefined;
  if (migration === 'unreadable') return 'a record of another version of blockferry';
  const isOther = typeof move === 'object' && !move.id.startsWith(`${migration.id}-`);
  if (isOther || !migration.disks.some((disk) => disk.target === target)) return undefined;
  return `migration, ${migrationPhaseWords(migration)}`;
}

/** What an open migration is doing. Once the domain may have run at the destination it is finished, whatever is wanted. */
export function migrationPhaseWords(record: Pick<MigrationRecord, 'phase' | 'goal'>): string {
  return record.goal === 'home' && !mayHaveRunAway(record) ? 'going back' : record.phase;
}

function moveWords({ move, mirror }: DiskSummary): string {
  if (move === 'unreadable') return 'a record of another version of blockferry';
  if (move !== undefined) {
    if (move.copy !== undefined && move.goal === 'keep') {
      return `${phaseWords(move)}, copied to ${describeSource(move.destination.source)}`;
    }
    const held = move.goal === 'hold' ? ', held' : '';
    const to = describeSource(move.destination.source);
    const phase = phaseWords(move);
    if (move.strategy === 'pull') return phase;
    return move.strategy === 'commit' ? `${phase} into ${to}${held}` : `${phase}${held} to ${to}`;
  }
  if (mirror === undefined) return '';
  return `${mirror.job} job to ${mirror.destination ?? 'an unknown place'}, not ours`;
}
