// Is there room for a layered move: for the copies, and for what the guest writes meanwhile?
import { dirname } from 'node:path';
import type { FileSystemStat, Host } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { ImageRef, LayeredPart } from '../model/record.ts';
import { formatBytes } from '../model/sizes.ts';
import type { Bytes } from '../model/units.ts';
import { floorOf } from '../space/floor.ts';
import { hasRoom, tooSmall } from '../space/room.ts';
import { allocatesAll, isEncrypted, LUKS_HEADER_BYTES } from './encryption.ts';
import { ANSWER_WITHIN_MS, answered } from './look.ts';
import type { Situation } from './situation.ts';
import { bytesToCopy } from './size.ts';
import type { Warning } from './warning.ts';

/**
 * A guest that writes an eighth as fast as the copy goes is a busy one; whether it does, only the move will show. Free
 * space for less than that is worth a word before.
 */
const BUSY_GUEST_SHARE = 8n;

/**
 * Both file systems keep free what is kept free while it runs (floorOf). Bases that are there already need no room.
 *
 * @returns what may become scarce
 * @throws Refusal `destination-too-small`, `no-room-for-overlay`
 */
export async function checkRoom(situation: Situation, host: Host, part: LayeredPart): Promise<Warning[]> {
  const need = bytesOf(situation, part);
  const [{ to }] = part.layers;
  const [there, here] = [await spaceAt(host, to), await spaceAt(host, part.overlay)];
  if (there !== undefined && !hasRoom(need, there)) {
    const hint = 'make room there, or choose another destination';
    throw tooSmall('the copies need', need, there.directory, there, hint);
  }
  // Of a domain that is off, nothing is written to the overlay.
  if (here === undefined || !situation.definitions.running || here.total === 0n) return [];
  const left = here.available - (here.device === there?.device ? need : 0n);
  if (left < floorOf(here.total)) throw noRoom(here.directory, left);
  // Over a destination that is no file, the carrier stands beside the overlay, and takes as much at the end.
  const copies = there === undefined ? 2n : 1n;
  if (left >= copies * situation.capacity) return [];
  const policy = errorPolicyWarning(situation);
  if (left >= (copies * need) / BUSY_GUEST_SHARE) return policy;
  const message = `${here.directory} has ${formatBytes(left)} free for what the guest writes while ${formatBytes(need)} are copied: if that is much, --overlay-dir puts it elsewhere`;
  return [{ code: 'overlay-may-fill', message }, ...policy];
}

/** Where QEMU is told not to stop the guest at a write that finds no room, it gets an error as from a broken disk. */
function errorPolicyWarning({ disk }: Situation): Warning[] {
  const { errorPolicy } = disk.driver;
  if (errorPolicy !== 'report' && errorPolicy !== 'ignore') return [];
  const message = `${disk.target} has error_policy='${errorPolicy}': should the room for the guest's writes run out, the guest is not stopped until there is some, but ${errorPolicy === 'report' ? 'gets an error' : 'loses them'}`;
  return [{ code: 'error-policy', message }];
}

function noRoom(directory: string, left: Bytes): Refusal {
  return new Refusal(
    'no-room-for-overlay',
    `what the guest writes during the move goes to ${directory}, which has ${formatBytes(left)} free`,
    { directory, have: left },
    'make room there, or have it go elsewhere: --overlay-dir DIR; strategy mirror needs no room there',
  );
}

function bytesOf(situation: Situation, { layers }: LayeredPart): Bytes {
  const { chain, capacity } = situation;
  const [{ how, to }] = layers;
  if (chain === undefined || how === 'contents') {
    const bytes = how === 'contents' && allocatesAll(to) ? capacity : bytesToCopy(situation, 'flatten');
    return bytes + (isEncrypted(to) ? LUKS_HEADER_BYTES : 0n);
  }
  return chain.slice(0, layers.length).reduce((sum, { allocated }) => sum + (allocated ?? capacity), 0n);
}

type Space = FileSystemStat & { readonly directory: string; readonly device: bigint | undefined };

/** Undefined: it is no file. A device or an export is as large as it is. */
async function spaceAt(host: Host, { source }: ImageRef): Promise<Space | undefined> {
  if (source.kind !== 'file') return undefined;
  const directory = dirname(source.path);
  const limits = { timeoutMs: ANSWER_WITHIN_MS };
  const space = await answered(directory, host.statfs(directory, limits));
  const stat = await answered(directory, host.stat(directory, limits));
  return { ...space, directory, device: stat?.device };
}
