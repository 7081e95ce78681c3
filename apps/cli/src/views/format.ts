// How numbers look on screen. The one place for units, so that all views agree.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;

/** Bytes in binary units, about three digits: `512 B`, `1.0 KiB`, `12.4 MiB`, `310 MiB`. */
export function formatBytes(bytes: bigint): string {
  const negative = bytes < 0n;
  let value = Number(negative ? -bytes : bytes);
  let unit = 0;
  // 1023.95 KiB would round to "1024 KiB", which nobody writes.
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${negative ? '-' : ''}${value.toFixed(digits)} ${UNITS[unit]}`;
}

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

/** A word of a shell command line, quoted where it must be, so that what is printed can be pasted. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
