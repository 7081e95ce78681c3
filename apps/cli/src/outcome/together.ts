// Several disks that move as one end with one result, made of one for each.
import { bareResult, type Result } from './result.ts';

/**
 * One result of those of several disks: it ended as the one did that needs the most attention. What they have of bytes,
 * sources and leftovers is put together.
 */
export function together(
  disks: readonly Result[],
  times: { readonly durationMs?: number; readonly pausedMs?: number | undefined },
): Result {
  const byUrgency = disks.toSorted((one, other) => urgencyOf(other) - urgencyOf(one));
  const [worst] = byUrgency;
  if (worst === undefined) throw new Error('several disks have results');
  const cutovers = disks.flatMap(({ cutoverMs }) => cutoverMs ?? []);
  return bareResult(worst.outcome, worst.exitCode, {
    domain: worst.domain,
    cutoverMs: cutovers.length === 0 ? undefined : Math.max(...cutovers),
    ...times,
    bytes: sumOf(disks.map(({ bytes }) => bytes)),
    copiedBefore: sumOf(disks.map(({ copiedBefore }) => copiedBefore)),
    verifiedBytes: sumOf(disks.map(({ verifiedBytes }) => verifiedBytes)),
    freezeMs: disks.find(({ freezeMs }) => freezeMs !== undefined)?.freezeMs,
    allocatedBytes: sumOf(disks.map(({ allocatedBytes }) => allocatedBytes)),
    sourcesKept: disks.flatMap(({ sourcesKept }) => sourcesKept),
    removals: disks.flatMap(({ removals = [] }) => removals),
    sourcesDeleted: disks.flatMap(({ sourcesDeleted }) => sourcesDeleted),
    leftovers: disks.flatMap(({ leftovers }) => leftovers),
    error: worst.error,
    ...(disks.some(({ quiesced }) => quiesced !== undefined) && {
      quiesced: disks.some(({ quiesced }) => quiesced),
    }),
    disks,
  });
}

/** Of two that ended alike, the one that only waits for the other says less. */
function urgencyOf({ exitCode, error }: Result): number {
  return exitCode * 2 + (error?.code === 'other-disk' ? 0 : 1);
}

function sumOf(amounts: readonly (bigint | undefined)[]): bigint | undefined {
  const known = amounts.filter((amount) => amount !== undefined);
  return known.length === 0 ? undefined : known.reduce((sum, amount) => sum + amount, 0n);
}
