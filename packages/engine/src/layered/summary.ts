// What a run did to the layers, and what the guest felt of it: for the result.
import type { GuardSummary } from '../guard/index.ts';
import type { Bytes, Millis } from '../model/units.ts';
import type { Memory } from '../observe/memory.ts';

export interface LayersSummary {
  /** By this run, from frozen images; what the guest wrote meanwhile comes in addition. */
  readonly copied: Bytes;
  /** By runs before it, and not copied again. */
  readonly copiedBefore: Bytes;
  /** Read back and compared, by this run or those before it. */
  readonly verified: Bytes;
  /** The longest freeze, from the order until libvirt said that it is done: the guest is stopped for less. */
  readonly freezeMs: Millis | undefined;
  readonly guard: GuardSummary | undefined;
}

/** Undefined where this run neither froze nor copied. */
export function summaryOf({ layered: { copy, earlier, freezeMs } }: Memory): LayersSummary | undefined {
  const copies = [...earlier, ...(copy === undefined ? [] : [copy])];
  const done = copies.map((each) => each.progress());
  const [first, last] = [done[0], done.at(-1)];
  if (first === undefined && freezeMs === undefined) return undefined;
  return {
    copied: done.reduce((sum, each) => sum + each.copied - each.copiedBefore, 0n),
    copiedBefore: first?.copiedBefore ?? 0n,
    verified: last?.verified ?? 0n,
    freezeMs,
    guard: together(copies.map((each) => each.guard())),
  };
}

/** Each round has a guard of its own; the first one heard the guest longest, and heard most of it. */
function together([first, ...more]: readonly GuardSummary[]): GuardSummary | undefined {
  if (first === undefined) return undefined;
  const worst = [first, ...more].map(({ worstMs }) => worstMs).filter((each) => each !== undefined);
  const heldBackMs = more.reduce((sum, each) => sum + each.heldBackMs, first.heldBackMs);
  return { ...first, worstMs: worst.length === 0 ? undefined : Math.max(...worst), heldBackMs };
}
