// What is said of the room for the guest's writes, and what to do about it.
import { quoteArgument } from '@blockferry/qemu';
import type { MoveRecord } from '../model/record.ts';
import { formatBytes } from '../model/sizes.ts';
import type { Bytes, Millis } from '../model/units.ts';

/** It lasts no longer than the copy. */
export function shortWords(
  { domain }: MoveRecord,
  directory: string,
  available: Bytes,
  { lastsMs, neededMs }: { readonly lastsMs: Millis; readonly neededMs: Millis | undefined },
): string {
  const needed = neededMs === undefined ? '' : `, and the copy takes ${words(neededMs)} more`;
  return `${directory}, where the guest writes meanwhile, has ${formatBytes(available)} free: at the present rate it is full in ${words(lastsMs)}${needed}. The copy hurries, without regard for the guest's latency. Free space there; or undo what is under way: blockferry abort ${quoteArgument(domain.name)}`;
}

/** Nearly nothing is left. */
export function lowWords({ domain }: MoveRecord, directory: string, available: Bytes): string {
  return `${directory} is nearly full (${formatBytes(available)} free), and the guest writes there. When nothing is left, the guest is stopped until there is room, and loses nothing. Free space there now; or undo what is under way, which takes room beside the source for what the guest wrote: blockferry abort ${quoteArgument(domain.name)}`;
}

export function stoppedWords(directory: string): string {
  return `the guest is stopped: ${directory} is full, and took its write no more. Free space there: it is resumed, and nothing is lost`;
}

export function resumedWords(directory: string, hasRoom: boolean): string {
  return hasRoom
    ? `${directory} has room: the guest was resumed`
    : `the guest is on another image, in ${directory}, and was resumed`;
}

function words(ms: Millis): string {
  return ms < 120_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
}
