// From when on a file system counts as nearly full. Pure.
import type { Bytes } from '../model/units.ts';

/**
 * Kept free of what a move writes: two windows of a copy are under way when it is noticed, and as much again is for the
 * other guests whose disks are on the same file system, which would be stopped by ENOSPC as well as this one.
 */
export const MOST_KEPT_FREE: Bytes = 512n << 20n;

/** Of a small file system not so much, but a twentieth: as much as ext4 keeps for root. */
const SHARE_KEPT_FREE = 20n;

/** @param total the size of the file system, in bytes; 0n where it does not tell */
export function floorOf(total: Bytes): Bytes {
  const share = total / SHARE_KEPT_FREE;
  return share < MOST_KEPT_FREE ? share : MOST_KEPT_FREE;
}
