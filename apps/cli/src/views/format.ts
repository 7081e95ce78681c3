// How numbers look on screen. The one place for units, so that all views agree; sizes look as they do in the engine's words.
import { formatBytes } from '@blockferry/engine';

export { formatBytes };

/** Bytes a second. */
export function formatRate(bytesPerSecond: bigint): string {
  return `${formatBytes(bytesPerSecond)}/s`;
}

/** `340 ms`, `5.2 s`, `3 min 20 s`, `2 h 05 min`, `4 d 03 h`. */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** Whole percent, rounded down: 100 only when it is all. Nothing to do counts as nothing done. */
export function percentOf(part: bigint, total: bigint): number {
  if (total <= 0n) return 0;
  const percent = Number((part * 100n) / total);
  return Math.max(0, Math.min(100, percent));
}
