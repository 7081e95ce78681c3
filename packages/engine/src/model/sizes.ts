// Bytes as people read them.
import type { Bytes } from './units.ts';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;

/** Bytes in binary units, about three digits: `512 B`, `1.0 KiB`, `12.4 MiB`, `310 MiB`. */
export function formatBytes(bytes: Bytes): string {
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
