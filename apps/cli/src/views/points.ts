// The points of a directory of backups, to people and to programs.
import { type CheckedPoint, chainOf, type Manifest, type Point, type Sorted } from '@blockferry/engine';
import { formatBytes } from './format.ts';
import { table } from './human/table.ts';
import type { JsonLine } from './json/lines.ts';

export function pointsText(points: readonly Point[], directory: string): string {
  if (points.length === 0) return `no backups in ${directory}\n`;
  const rows = points.map((point) => {
    const manifest = point.kind === 'sealed' ? point.manifest : undefined;
    if (manifest === undefined) return [point.name, '', '', '', stateWords(point, points)];
    const { domain, disks } = manifest;
    const targets = disks.map(({ target }) => target).join(',');
    return [point.name, formatBytes(sizeOf(manifest)), domain.name, targets, stateWords(point, points)];
  });
  return table([['POINT', 'SIZE', 'DOMAIN', 'DISKS', 'NOTES'], ...rows]);
}

function stateWords(point: Point, points: readonly Point[]): string {
  switch (point.kind) {
    case 'unfinished':
      return 'not finished: under way, or torn';
    case 'unreadable':
      return point.why;
    case 'sealed': {
      const found = chainOf(points, point.name);
      if (found.kind === 'broken') return `cannot be used: ${found.why}`;
      const { quiesced, running } = point.manifest;
      return quiesced ? 'quiesced' : running ? '' : 'off';
    }
  }
}

function sizeOf({ files }: Manifest): bigint {
  return files.reduce((sum, { size }) => sum + size, 0n);
}

export function pointLine(point: Point, points: readonly Point[]): JsonLine {
  const base = { type: 'point', point: point.name, state: point.kind };
  if (point.kind === 'unfinished') return { ...base, problem: undefined };
  if (point.kind === 'unreadable') return { ...base, problem: point.why };
  const { kind, parent, domain, time, running, quiesced, checkpoint, disks } = point.manifest;
  const found = chainOf(points, point.name);
  return {
    ...base,
    ...{ kind, parent, domain: domain.name, uuid: domain.uuid, time, running, quiesced, checkpoint },
    bytes: sizeOf(point.manifest),
    disks: disks.map(({ target, capacity, format, source }) => ({ target, capacity, format, source })),
    problem: found.kind === 'broken' ? found.why : undefined,
  };
}

export function checkedText(checked: readonly CheckedPoint[]): string {
  if (checked.length === 0) return 'there is no backup\n';
  const lines = checked.flatMap(({ point, problems }) => [
    `${problems.length === 0 ? 'good' : 'BAD '}  ${point}`,
    ...problems.map((problem) => `      ${problem}`),
  ]);
  return `${lines.join('\n')}\n`;
}

export function checkedLine({ point, problems }: CheckedPoint): JsonLine {
  return { type: 'point', point, good: problems.length === 0, problems };
}

export function pruneText({ keep, spare, remove }: Sorted): string {
  const lines = [
    ...keep.map(({ manifest, why }) => `keep    ${manifest.point}  ${why.join(', ')}`),
    ...spare.map(({ point, why }) => `keep    ${point}  cannot be used now: ${why}`),
    ...remove.map((name) => `remove  ${name}`),
  ];
  return lines.length === 0 ? 'there is no backup\n' : `${lines.join('\n')}\n`;
}

export function pruneLines({ keep, spare, remove }: Sorted, removed: boolean): JsonLine[] {
  return [
    ...keep.map(({ manifest, why }) => ({ type: 'point', point: manifest.point, kept: true, why })),
    ...spare.map(({ point, why }) => ({
      type: 'point',
      point,
      kept: true,
      why: ['unreadable'],
      problem: why,
    })),
    ...remove.map((point) => ({ type: 'point', point, kept: false, removed })),
  ];
}
