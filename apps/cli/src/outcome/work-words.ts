// What is under way, by its strategy, in words.
import { type MoveRecord, unreachable } from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';

/** What a command does with a move that is open already. */
export function continuingWords(move: MoveRecord): string {
  const whose = workWords(move);
  switch (move.goal) {
    case 'pivot':
    case 'hold':
      return `continuing ${whose}`;
    case 'abort':
      return `undoing ${whose}`;
    case 'keep':
      return `ending ${whose}, its copy kept`;
    default:
      return unreachable(move.goal);
  }
}

function workWords({ strategy, domain, disk, destination }: MoveRecord): string {
  const [what, to] = [`${domain.name} ${disk}`, describeSource(destination.source)];
  switch (strategy) {
    case 'mirror':
    case 'layered':
      return `the move of ${what} to ${to}`;
    case 'commit':
      return `the commit of ${what} into ${to}`;
    case 'pull':
      return `the flattening of ${what}`;
    default:
      return unreachable(strategy);
  }
}
