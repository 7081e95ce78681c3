// A plan for people: a short block for `move`, with the steps for `plan`.
import { dirname } from 'node:path';
import { type MoveRecord, type Plan, secretOf, unreachable } from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import { formatBytes } from '../format.ts';

/** From where to where, how much, and the chain it makes. */
export function planBlock(plan: Plan): string {
  const { move } = plan;
  if (move.shorten !== undefined) return shortenBlock(plan);
  const images = plan.copies ?? plan.chainAfter;
  const scope = plan.chainBefore.length === 1 ? '' : `, ${move.scope}`;
  const lines = [
    `${move.domain.name} ${move.disk}: ${formatBytes(plan.bytes)} to copy (disk of ${formatBytes(plan.capacity)}${scope})`,
    `  from   ${describeSource(move.origin.source)} (${move.origin.format})`,
    `  to     ${describeSource(move.destination.source)} (${move.destination.format}${ownership(plan)})`,
    ...lockedWords(move),
    `  by     strategy ${move.strategy}: ${plan.why}`,
    ...meanwhile(plan),
    ...(images.length > 1 ? [`  chain  ${chainWords(images)}`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

/** Which images leave, where their data goes, and the chain that is left. */
function shortenBlock({ move, bytes, capacity, why, chainBefore, chainAfter }: Plan): string {
  const verb = move.strategy === 'commit' ? 'commit' : 'pull up';
  const lines = [
    `${move.domain.name} ${move.disk}: ${formatBytes(bytes)} to ${verb} (disk of ${formatBytes(capacity)})`,
    `  chain  ${chainWords(chainBefore)}`,
    `  then   ${chainWords(chainAfter)}`,
    `  by     ${why}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** The block and each step with what it leaves behind. */
export function planWithSteps(plan: Plan): string {
  const lines = plan.steps.flatMap(({ what, leaves }, index) => [
    `  ${String(index + 1).padStart(2)}. ${what}`,
    `      if everything stopped here: ${leaves}`,
  ]);
  return `${planBlock(plan)}steps\n${lines.join('\n')}\n`;
}

/** What the destination is opened by. */
function lockedWords({ destination: { source } }: MoveRecord): string[] {
  const secret = secretOf(source.encryption);
  return secret === undefined ? [] : [`  in     LUKS, like the disk; opened by libvirt's secret ${secret}`];
}

/** Where the guest writes until it is switched, unless that is beside its image as ever. */
function meanwhile({ move }: Plan): string[] {
  const [overlay, origin] = [move.layered?.overlay.source, move.origin.source];
  if (overlay?.kind !== 'file' || origin.kind !== 'file') return [];
  if (dirname(overlay.path) === dirname(origin.path)) return [];
  return [`  over   ${overlay.path}, to which the guest writes meanwhile`];
}

function ownership({ move }: Plan): string {
  switch (move.ownership.kind) {
    case 'created':
      if (move.layered?.layers[0].compressed) return ', new, compressed';
      return move.ownership.pool === undefined ? ', new' : `, new volume in pool ${move.ownership.pool}`;
    case 'volume':
      return `, new volume in pool ${move.ownership.pool}`;
    case 'rbd-image':
      return ', new image';
    case 'reused':
      return move.layered === undefined ? ', used as it is' : ', overwritten';
    default:
      return unreachable(move.ownership);
  }
}

/** Base first, as chains are drawn: `base <- snap1 <- copy`. */
function chainWords(chain: Plan['chainAfter']): string {
  return chain
    .map(({ source }) => describeSource(source))
    .reverse()
    .join(' <- ');
}
