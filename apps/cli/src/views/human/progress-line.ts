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
  return join({ phase, ...partsOf(progress), bar: undefined });
}

/** With the bar, cut to `columns` so that redrawing never wraps: the least important parts go first. */
export function drawnProgress({ phase, progress }: ProgressLine, columns: number): string {
  const parts: Parts = { phase, ...partsOf(progress) };
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

function partsOf(progress: ProgressReport | undefined): Parts {
  if (progress === undefined) return {};
  const { copied, verified = 0n, total, rate, etaMs, space } = progress;
  // Before the copy begins, or while the guard hears what the guest's writes take alone.
  if (total === 0n) return guestParts(progress);
  // All is copied, and what is awaited is the reading back.
  const verifies = copied >= total && verified > 0n && verified < total;
  const done = verifies ? verified : copied;
  const percent = percentOf(done, total);
  return {
    ...(verifies && { phase: 'verifying' }),
    bar: drawBar(percent),
    percent: `${percent} %`,
    amount: `${formatBytes(done)} of ${formatBytes(total)}`,
    rate:
      space !== undefined ? 'waits for room' : rate === undefined || verifies ? undefined : formatRate(rate),
    left:
      verifies || etaMs === undefined || space !== undefined ? undefined : `${formatDuration(etaMs)} left`,
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
