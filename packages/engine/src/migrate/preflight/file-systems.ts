// What several files need of one file system, whichever directories they go to.
import type { Bytes } from '../../model/units.ts';

export interface Need {
  readonly directory: string;
  /** Of its file system. */
  readonly device: bigint | undefined;
  readonly bytes: Bytes;
}

/** Pure. One need for each file system, in the words of its first directory. */
export function byFileSystem(needs: readonly Need[]): Need[] {
  const sums = new Map<bigint | undefined, Need>();
  for (const need of needs) {
    const { directory, bytes } = sums.get(need.device) ?? { ...need, bytes: 0n };
    sums.set(need.device, { directory, device: need.device, bytes: bytes + need.bytes });
  }
  return [...sums.values()];
}
