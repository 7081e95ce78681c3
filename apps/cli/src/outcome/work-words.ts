// What is under way, by its strategy, in words.
import { type MoveRecord, unreachable } from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';

/**
 * The phase in words: what goes on in the record of a copy that is complete is no undoing, and what is done to a chain is
 * not always copying.
 */
export function phaseWords({
  phase,
  goal,
  copy,
  strategy,
}: Pick<MoveRecord, 'phase' | 'goal' | 'copy' | 'strategy'>): string {
  if (copy !== undefined && goal === 'keep' && phase === 'undoing') return 'returning';
  if (phase !== 'copying') return phase;
  return { mirror: phase, layered: phase, commit: 'committing', pull: 'flattening' }[strategy];
}

/** What a command does with a move that is open already. */
export function continuingWords(move: MoveRecord): string {
  const whose = workWords(move);
  switch (move.goal) {
    case 'pivot':
    case 'hold':
    case 'copy':
      return `continuing ${whose}`;
    case 'abort':
      return `undoing ${whose}`;
    case 'keep':
      return move.copy === undefined
        ? `ending ${whose}, its copy kept`
        : `ending ${whose}, which is complete`;
    default:
      return unreachable(move.goal);
  }
}

function workWords({ strategy, domain, disk, destination, copy }: MoveRecord): string {
  const [what, to] = [`${domain.name} ${disk}`, describeSource(destination.source)];
  switch (strategy) {
    case 'mirror':
    case 'layered':
      return `the ${copy === undefined ? 'move' : 'copy'} of ${what} to ${to}`;
    case 'commit':
      return `the commit of ${what} into ${to}`;
    case 'pull':
      return `the flattening of ${what}`;
    default:
      return unreachable(strategy);
  }
}
