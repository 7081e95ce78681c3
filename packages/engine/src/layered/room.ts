// Is there room at the destination, for more of the copies, and for what the overlay holds?
import { dirname } from 'node:path';
import type { Host } from '@blockferry/qemu';
import { fileBeside } from '../model/beside.ts';
import type { ImageRef, MoveRecord } from '../model/record.ts';
import type { Bytes, Millis } from '../model/units.ts';
import { hasRoom } from '../space/room.ts';
import { filePath } from './act/files.ts';
import { layeredPart } from './image-at.ts';

const ANSWER_WITHIN_MS: Millis = 3_000;

/**
 * Whether the destination's file system has `bytes` besides what is kept free there. Devices, servers and file systems
 * that do not tell have: a device was found to be large enough.
 *
 * @throws FileError, HostError when it cannot be asked
 */
export async function hasRoomFor(host: Host, move: MoveRecord, bytes: Bytes): Promise<boolean> {
  const path = filePath(move.destination);
  return path === undefined || hasRoomAt(host, path, bytes);
}

/** @throws FileError, HostError when it cannot be asked */
export async function hasRoomAt(host: Host, path: string, bytes: Bytes): Promise<boolean> {
  return hasRoom(bytes, await host.statfs(dirname(path), { timeoutMs: ANSWER_WITHIN_MS }));
}

/**
 * Whether the carrier cannot take what the overlay holds; one that is there is made anew, and gives back what it has. A look
 * that fails says nothing.
 */
export async function lacksRoomForOverlay(host: Host | undefined, move: MoveRecord): Promise<boolean> {
  if (host === undefined) return false;
  const { overlay, carrier } = layeredPart(move);
  const allocated = async (image: ImageRef): Promise<Bytes> => {
    const path = filePath(image);
    const stat = path === undefined ? null : await host.stat(path, { timeoutMs: ANSWER_WITHIN_MS });
    return stat?.allocated ?? 0n;
  };
  try {
    const more = (await allocated(overlay)) - (await allocated(carrier));
    const path = fileBeside(move);
    return path !== undefined && !(await hasRoomAt(host, path, more));
  } catch {
    return false;
  }
}
