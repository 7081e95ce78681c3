// What several files need of one file system, whichever directories they go to.
import { dirname } from 'node:path';
import type { Host } from '@blockferry/qemu';
import type { Bytes } from '../model/units.ts';
import { hasRoom, tooSmall } from '../space/room.ts';
import { ANSWER_WITHIN_MS, answered, lookAt } from './look.ts';

export interface Need {
  readonly directory: string;
  /** Of its file system. */
  readonly device: bigint | undefined;
  readonly bytes: Bytes;
}

export interface RoomWords {
  /** With its verb, such as `the copies need`. */
  readonly what: string;
  readonly hint: string;
  /** Said of the directory: ` at the destination`. */
  readonly at?: string;
}

/** There is room for all of them. @throws Refusal `destination-too-small`, `destination-silent` */
export async function mustHoldAll(
  host: Host,
  files: readonly { readonly path: string; readonly bytes: Bytes }[],
  { what, hint, at = '' }: RoomWords,
): Promise<void> {
  const needs: Need[] = [];
  for (const { path, bytes } of files) {
    const directory = dirname(path);
    needs.push({ directory, device: (await lookAt(host, directory))?.device, bytes });
  }
  for (const { directory, bytes } of byFileSystem(needs)) {
    const space = await answered(directory, host.statfs(directory, { timeoutMs: ANSWER_WITHIN_MS }));
    if (!hasRoom(bytes, space)) throw tooSmall(what, bytes, `${directory}${at}`, space, hint);
  }
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
