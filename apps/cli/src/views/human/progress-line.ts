// One line of progress: bar, phase, percent, rate, time to go, what the guest writes.
import type { ProgressReport } from '@blockferry/engine';
import { formatBytes, formatDuration, formatRate, percentOf } from '../format.ts';

const BAR_WIDTH = 20;

export interface ProgressLine {
  readonly phase: string;
  readonly progress: ProgressReport | undefined;
}

/** Without the bar: for logs and files. */
export function plainProgress({ phase, progress }: ProgressLine): string {
  return [phase, ...parts(progress)].join('  ');
}

/** With the bar, cut to `columns` so that redrawing never wraps: the least important parts go first. */
export function drawnProgress(line: ProgressLine, columns: number): string {
  const bar =
    line.progress === undefined ? '' : drawBar(percentOf(line.progress.copied, line.progress.total));
  const all = [line.phase, bar, ...parts(line.progress)].filter((part) => part !== '');
  // The last column stays free: some terminals wrap when it is written to.
  while (all.length > 1 && all.join('  ').length > columns - 1) all.pop();
  return all.join('  ').slice(0, Math.max(0, columns - 1));
}

function parts(progress: ProgressReport | undefined): string[] {
  if (progress === undefined) return [];
  const { copied, total, rate, etaMs, guestWriteRate } = progress;
  return [
    `${percentOf(copied, total)} %`,
    `${formatBytes(copied)} of ${formatBytes(total)}`,
    ...(rate === undefined ? [] : [formatRate(rate)]),
    ...(etaMs === undefined ? [] : [`${formatDuration(etaMs)} left`]),
    ...(guestWriteRate === undefined ? [] : [`guest writes ${formatRate(guestWriteRate)}`]),
  ];
}

function drawBar(percent: number): string {
  const filled = Math.floor((percent * BAR_WIDTH) / 100);
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
}
