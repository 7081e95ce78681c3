// `--guard RATIO|off`: how much slower the guest's writes may become while its disk is copied.
import { UsageError } from './usage-error.ts';

export const DEFAULT_GUARD = 2;

/**
 * Reads `2`, `1.5`, `2x` or `off`. Without the option: 2.
 *
 * @throws UsageError for a ratio that is not above 1, as the guest's own latency is 1
 */
export function parseGuard(text: string | undefined): number | 'off' {
  if (text === undefined) return DEFAULT_GUARD;
  const wanted = text.trim().toLowerCase();
  if (wanted === 'off') return 'off';
  const ratio = /^\d+(\.\d+)?x?$/.test(wanted) ? Number.parseFloat(wanted) : Number.NaN;
  if (ratio > 1 && ratio <= 1000) return ratio;
  const hint = 'for example 2: twice as long as with no copy; off leaves the copy at full speed';
  throw new UsageError(`--guard ${text}: neither a ratio above 1 nor off`, hint);
}
