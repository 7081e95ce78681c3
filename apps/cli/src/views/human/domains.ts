// The list of domains for people.
import type { DiskSummary, DomainSummary } from '@blockferry/engine';
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
    moveWords(disk),
  ]);
}

/** libvirt's words, with `off` for its `shutoff`. */
function stateWord(state: DomainSummary['state']): string {
  return state === 'shutoff' ? 'off' : state;
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
