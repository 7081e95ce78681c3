// The results as text: a table for each case, a column for each peer, and the ratios below.

import { BULK_SPEED, type CaseResult, type Figure, median } from '../result.ts';
import type { Report } from './report.ts';

export function reportText({ machine, limit, quiet, cache, cases }: Report): string {
  const head = [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; Linux ${machine.kernel}`,
    `QEMU ${machine.qemu}, libvirt ${machine.libvirt}, Node ${machine.node}; load ${machine.loadAtStart.toFixed(1)} at the start`,
    `The guests' disks: cache mode ${cache === 'none' ? 'none, aio native' : 'as libvirt has it by default'}`,
    ...(limit === undefined
      ? []
      : [
          `The storage itself (fio, direct, read and write at once): read ${limit.readMBps.toFixed(0)} MB/s, write ${limit.writeMBps.toFixed(0)} MB/s; a copy of ${limit.copyMBps.toFixed(0)} MB/s`,
        ]),
    ...(quiet ? [] : ['NOT TO BE PUBLISHED: something else was at work on this machine.']),
  ];
  return [head.join('\n'), ...cases.map((each) => caseText(each, limit?.copyMBps))].join('\n\n');
}

function caseText(result: CaseResult, limitMBps: number | undefined): string {
  const peers = [...new Set(result.figures.map(({ peer }) => peer))];
  const rows = [...new Set(result.figures.map(({ what }) => what))];
  const cells = rows.map((what) => {
    const own = result.figures.filter((each) => each.what === what);
    return [what, own[0]?.unit ?? '', ...peers.map((peer) => cell(own.find((each) => each.peer === peer)))];
  });
  const lines = [
    `== ${result.name}: ${result.title}`,
    aligned([['', '', ...peers], ...cells]),
    ...result.ratios.map(({ what, value }) => `  ${value.toFixed(2)}x  ${what}`),
    ...shareOfLimit(result.figures, limitMBps),
    ...result.notes.map((note) => `  note: ${note}`),
  ];
  return lines.join('\n');
}

/** The median, and from where to where the rounds went. */
function cell(figure: Figure | undefined): string {
  if (figure === undefined) return '-';
  const { values } = figure;
  const short = (value: number) => value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 1000 ? 1 : 0);
  if (values.length === 1) return short(median(values));
  return `${short(median(values))} (${short(Math.min(...values))}-${short(Math.max(...values))})`;
}

function shareOfLimit(figures: readonly Figure[], limitMBps: number | undefined): string[] {
  if (limitMBps === undefined) return [];
  return figures
    .filter(({ what }) => what === 'speed' || what === BULK_SPEED)
    .map(({ peer, what, values }) => {
      const share = (100 * median(values)) / limitMBps;
      return `  ${share.toFixed(0)} % of what the storage can copy: ${peer}, ${what === BULK_SPEED ? 'the bulk copy alone' : 'the whole move'}`;
    });
}

/** Columns as wide as their widest cell; the first to the left, the others to the right. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) => {
      const padded = row.map((text, column) =>
        column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0),
      );
      return `  ${padded.join('  ')}`.trimEnd();
    })
    .join('\n');
}
