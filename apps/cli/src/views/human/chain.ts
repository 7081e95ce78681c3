// A backing chain for people: a tree with the active image on top.
import type { ChainEntry, ChainReport } from '@blockferry/engine';
import { formatBytes } from '../format.ts';
import { table } from './table.ts';

export function chainText(report: ChainReport): string {
  const { domain, disk, definition, images, mirror, nextBoot, problem } = report;
  const rows = images.map((image, depth) => [
    `${depth === 0 ? '' : `${'   '.repeat(depth - 1)}└─ `}${image.path}`,
    image.format,
    image.virtualSize === undefined ? '?' : formatBytes(image.virtualSize),
    image.allocated === undefined ? '?' : formatBytes(image.allocated),
    usedBy(image),
  ]);
  const lines = [
    ...(problem === undefined ? [] : [`  the images could not be read: ${problem}`]),
    ...(mirror === undefined
      ? []
      : [`  ${mirror.job} job to ${mirror.destination} (ready: ${mirror.ready})`]),
    ...(nextBoot === undefined
      ? []
      : [`  the next boot uses ${nextBoot}: the persistent definition differs`]),
    ...report.unknownUses.map(
      (unknown) => `  what ${unknown.disk} of ${unknown.domain} uses is not known: ${unknown.why}`,
    ),
  ];
  const off = definition === 'live' ? '' : ' (off)';
  if (images.length === 0 && problem === undefined) return `${domain} ${disk}${off}: no medium\n`;
  const notes = lines.length === 0 ? '' : `${lines.join('\n')}\n`;
  return `${domain} ${disk}${off}\n${table([['IMAGE', 'FORMAT', 'SIZE', 'ALLOCATED', 'ALSO USED BY'], ...rows])}${notes}`;
}

function usedBy({ usedBy: uses }: ChainEntry): string {
  const words = uses.map((use) => {
    const how = use.role === 'mirror' ? ' as a copy in the making' : use.role === 'top' ? '' : ' as backing';
    return `${use.domain} ${use.disk}${how}`;
  });
  return words.join(', ');
}
