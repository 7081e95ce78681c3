// `--guard RATIO|p95:RATIO|off`: how much slower the guest's writes may become while its disk is copied.
import type { GuardBound } from '@blockferry/engine';
import { UsageError } from './usage-error.ts';

const DEFAULT_GUARD = 2;

/** The option, as every verb that copies beside a guest has it. */
export const GUARD_OPTION = [
  '--guard <bound>',
  "how many times slower the guest's writes may become, on average (2; default) or 95 of 100 (p95:2), or off",
] as const;

/**
 * Reads `2`, `1.5`, `2x`, `p95:2` or `off`. Without the option: 2.
 *
 * @throws UsageError for a ratio that is not above 1, as the guest's own latency is 1
 */
export function parseGuard(text: string | undefined): GuardBound | 'off' {
  if (text === undefined) return DEFAULT_GUARD;
  const wanted = text.trim().toLowerCase();
  if (wanted === 'off') return 'off';
  const [, percentile, number] = /^(p95:)?(\d+(?:\.\d+)?)x?$/.exec(wanted) ?? [];
  const ratio = Number.parseFloat(number ?? '');
  if (ratio > 1 && ratio <= 1000) return percentile === undefined ? ratio : { p95: ratio };
  const hint =
    'for example 2: twice as long as with no copy, on average; p95:2: 95 of 100 writes too; off leaves the copy at full speed';
  throw new UsageError(`--guard ${text}: neither a ratio above 1 nor off`, hint);
}
