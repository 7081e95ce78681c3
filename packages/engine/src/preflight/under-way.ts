// The refusal of a disk on which something is open already.
import { describeSource } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { MoveRecord } from '../model/record.ts';
import { undoCommand } from '../model/undo-command.ts';
import { unreachable } from '../model/units.ts';

export function underWay(open: MoveRecord): Refusal {
  const { name } = open.domain;
  return new Refusal(
    'move-under-way',
    `${workWords(open)} already`,
    { id: open.id },
    `continue it: blockferry resume ${quoteArgument(name)}; or undo it: ${undoCommand(open)}`,
  );
}

function workWords({ disk, domain, strategy, destination, copy }: MoveRecord): string {
  const [what, to] = [`${disk} of ${domain.name}`, describeSource(destination.source)];
  switch (strategy) {
    case 'mirror':
    case 'layered':
      return `${what} is being ${copy === undefined ? 'moved' : 'copied'} to ${to}`;
    case 'commit':
      return `images of ${what} are being committed into ${to}`;
    case 'pull':
      return `${what} is being flattened`;
    default:
      return unreachable(strategy);
  }
}
