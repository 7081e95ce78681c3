// Sizes and rates as people type them, with libvirt's suffixes (virsh(1), "scaled integers").
import { UsageError } from './usage-error.ts';

const UNITS: Readonly<Record<string, bigint>> = {
  b: 1n,
  byte: 1n,
  bytes: 1n,
  k: 1n << 10n,
  kib: 1n << 10n,
  kb: 1_000n,
  m: 1n << 20n,
  mib: 1n << 20n,
  mb: 1_000_000n,
  g: 1n << 30n,
  gib: 1n << 30n,
  gb: 1_000_000_000n,
  t: 1n << 40n,
  tib: 1n << 40n,
  tb: 1_000_000_000_000n,
};

/** libvirt counts in unsigned 64-bit numbers, QEMU's rates in signed ones. */
const MOST = (1n << 63n) - 1n;

/**
 * Reads `64K`, `1.5G`, `4096`: bytes. K, M, G, T are binary; KB, MB… decimal, as virsh reads them.
 *
 * @param plainUnit what a number without a suffix counts: bytes for each
 * @throws UsageError
 */
export function parseSize(text: string, option: string, plainUnit = 1n): bigint {
  const [, whole, fraction = '', suffix = ''] = /^(\d+)(?:\.(\d+))?\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const unit = suffix === '' ? plainUnit : UNITS[suffix.toLowerCase()];
  if (whole === undefined || unit === undefined) {
    throw new UsageError(`${option} ${text}: not a size`, 'for example 512K, 100M or 1.5G');
  }
  const bytes = BigInt(whole) * unit + (BigInt(fraction || '0') * unit) / 10n ** BigInt(fraction.length);
  if (bytes === 0n && /[1-9]/.test(whole + fraction))
    throw new UsageError(`${option} ${text}: less than a byte`);
  if (bytes > MOST) throw new UsageError(`${option} ${text}: too large`);
  return bytes;
}

/**
 * Reads a rate: `100M` or `1.5G` a second, with or without `/s`; a plain number is MiB/s as in virsh, or bytes a
 * second where `bytes` says so. 0: no limit.
 *
 * @throws UsageError
 */
export function parseRate(text: string, option: string, { bytes }: { readonly bytes: boolean }): bigint {
  try {
    return parseSize(text.trim().replace(/\/s$/i, ''), option, bytes ? 1n : 1n << 20n);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const hint = 'for example 100M (100 MiB/s), 1.5G, or 100, which is MiB/s as in virsh';
    throw new UsageError(error.message.replace('a size', 'a rate'), hint);
  }
}
