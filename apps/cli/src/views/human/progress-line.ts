// One line of progress: bar, phase, percent, rate, time to go, what the guest writes.
import type { ProgressReport } from '@blockferry/engine';
import { formatBytes, formatDuration, formatRate, percentOf } from '../format.ts';

const BAR_WIDTH = 20;

export interface ProgressLine {
  /** Named where there are several. */
  readonly disk?: string | undefined;
  readonly phase: string;
  readonly progress: ProgressReport | undefined;
}

/** Without the bar: for logs and files. */
export function plainProgress(line: ProgressLine): string {
  return join({ ...partsOf(line), bar: undefined });
}

/** With the bar, cut to `columns` so that redrawing never wraps: the least important parts go first. */
export function drawnProgress(line: ProgressLine, columns: number): string {
  const parts = partsOf(line);
  // The last column stays free: some terminals wrap when it is written to.
  for (const name of DISPENSABLE) {
    if (join(parts).length < columns) break;
    parts[name] = undefined;
  }
  return join(parts).slice(0, Math.max(0, columns - 1));
}

/** In the order in which they are shown. */
const SHOWN = ['phase', 'bar', 'percent', 'amount', 'rate', 'left', 'guest', 'latency'] as const;
/** In the order in which they are given up on a narrow terminal. */
const DISPENSABLE = ['latency', 'amount', 'bar', 'guest', 'left', 'rate', 'percent'] as const;

type Parts = Partial<Record<(typeof SHOWN)[number], string | undefined>>;

function join(parts: Parts): string {
  return SHOWN.map((name) => parts[name])
    .filter((part) => part !== undefined)
    .join('  ');
}

function partsOf({ disk, phase, progress }: ProgressLine): Parts {
  const doing = progress !== undefined && verifies(progress) ? 'verifying' : phase;
  return {
    phase: disk === undefined ? doing : `${disk} ${doing}`,
    ...(progress === undefined ? {} : progressParts(progress)),
  };
}

/** All is copied, and what is awaited is the reading back. */
function verifies({ copied, total, readBack }: ProgressReport): boolean {
  return total > 0n && copied >= total && readBack !== undefined && readBack < total;
}

function progressParts(progress: ProgressReport): Parts {
  const { total, etaMs, space } = progress;
  // Before the copy begins, or while the guard hears what the guest's writes take alone.
  if (total === 0n) return guestParts(progress);
  const { done, rate } = verifies(progress)
    ? { done: progress.readBack ?? 0n, rate: progress.readBackRate }
    : { done: progress.copied, rate: progress.rate };
  const percent = percentOf(done, total);
  return {
    bar: drawBar(percent),
    percent: `${percent} %`,
    amount: `${formatBytes(done)} of ${formatBytes(total)}`,
    rate: space !== undefined ? 'waits for room' : rate && formatRate(rate),
    left: etaMs === undefined || space !== undefined ? undefined : `${formatDuration(etaMs)} left`,
    ...guestParts(progress),
  };
}

function guestParts({ guestWriteRate, guard }: ProgressReport): Parts {
  return {
    guest: guestWriteRate === undefined ? undefined : `guest writes ${formatRate(guestWriteRate)}`,
    latency: latencyWords(guard),
  };
}

/** The guest's mean write of late, and how many times its own that is. */
function latencyWords(guard: ProgressReport['guard']): string | undefined {
  const { latencyMs, baselineMs } = guard ?? {};
  if (latencyMs === undefined) return undefined;
  const ratio = baselineMs === undefined ? '' : ` (${(latencyMs / baselineMs).toFixed(1)}x)`;
  return `in ${latencyMs.toFixed(1)} ms${ratio}`;
}

function drawBar(percent: number): string {
  const filled = Math.floor((percent * BAR_WIDTH) / 100);
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
}
