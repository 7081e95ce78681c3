// Where the overlay of a layered move stands: beside the image that it covers, or in a directory of the operator's choice.
import { basename, dirname, join, resolve } from 'node:path';
import { DomainXmlError, diskElement } from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { LONGEST_NAME, nameLength } from '../model/file-names.ts';
import type { ImageRef } from '../model/record.ts';
import {
  ANSWER_WITHIN_MS,
  answered,
  lookAt,
  mustHaveDirectory,
  mustKnowDirectIo,
  mustServe,
} from './look.ts';
import { mustBeReachable } from './reach.ts';
import type { MoveRequest } from './request.ts';
import type { Situation } from './situation.ts';

/** Forgotten when the host goes down, and with them what the guest was told is on stable storage. */
const VOLATILE = ['tmpfs', 'ramfs'];

/** The overlay over the image at `top`. Its name has the move's id, so that no other move takes it. Pure. */
export function overlayAt(
  top: string,
  { overlayDirectory }: MoveRequest,
  id: string,
  workingDirectory: string | undefined,
): ImageRef {
  const name = `${basename(top)}.${id}.overlay`;
  return {
    source: { kind: 'file', path: join(directoryOf(top, overlayDirectory, workingDirectory), name) },
    format: 'qcow2',
  };
}

function directoryOf(top: string, asked: string | undefined, workingDirectory: string | undefined): string {
  if (asked === undefined) return dirname(top);
  if (/[\0\n]/.test(asked)) throw bad(asked, 'a path with a line break or NUL cannot be given to libvirt');
  if (asked.startsWith('/')) return resolve(asked);
  if (workingDirectory === undefined || asked === '')
    throw bad(asked, 'on another machine it must be absolute');
  return resolve(workingDirectory, asked);
}

/**
 * Can the guest depend on it for as long as the move takes? The directory is there, libvirt can name the overlay, QEMU can
 * reach it, it outlives the host's going down as the source does, and its storage takes writes in the disk's cache mode.
 * Looks only; last of all by a file without a name.
 *
 * @throws Refusal
 */
export async function checkOverlayDirectory(
  host: Host,
  { live, disk }: Situation,
  overlay: ImageRef,
): Promise<void> {
  if (overlay.source.kind !== 'file' || disk.source?.kind !== 'file') throw new Error('layers are files');
  const { path } = overlay.source;
  const directory = dirname(path);
  if (nameLength(path) > LONGEST_NAME) throw bad(directory, `${basename(path)} is too long a name`);
  mustBeNameable(overlay, directory);
  await mustHaveDirectory(host, path);
  if ((await lookAt(host, path)) !== null) throw bad(directory, `${path} exists`);
  await mustNotBeVolatile(host, directory, dirname(disk.source.path));
  await mustBeReachable(host, live, overlay.source);
  await mustServe(host, path);
  const { cache } = disk.driver;
  if (cache === 'none' || cache === 'directsync') await mustKnowDirectIo(host, path, cache);
}

/**
 * Beside the source, where nobody asked for another place, there is all of that but leave to make a file: root may have none
 * on NFS.
 *
 * @throws Refusal `overlay-unusable`, `destination-silent`
 */
export async function checkBesideSource(host: Host, { source }: ImageRef): Promise<void> {
  if (source.kind !== 'file') throw new Error('an overlay is a file');
  try {
    await mustServe(host, source.path);
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'destination-unusable') throw error;
    const directory = dirname(source.path);
    throw new Refusal(
      'overlay-unusable',
      `what the guest writes during the move goes to ${directory}, and no file can be made there: ${error.message}`,
      { directory },
      'have it go elsewhere: --overlay-dir DIR',
      { cause: error },
    );
  }
}

function mustBeNameable({ source, format }: ImageRef, directory: string): void {
  try {
    diskElement(source, format);
  } catch (error) {
    throw error instanceof DomainXmlError ? bad(directory, error.message) : error;
  }
}

async function mustNotBeVolatile(host: Host, directory: string, source: string): Promise<void> {
  const [there, here] = await Promise.all(
    [directory, source].map((each) => answered(each, host.statfs(each, { timeoutMs: ANSWER_WITHIN_MS }))),
  );
  if (there === undefined || !VOLATILE.includes(there.type) || here?.type === there.type) return;
  throw new Refusal(
    'overlay-volatile',
    `${directory} is in memory (${there.type}): what the guest writes during the move would be lost with the host`,
    { directory, type: there.type },
    'choose a directory on a disk',
  );
}

function bad(directory: string, why: string): Refusal {
  return new Refusal('bad-overlay-dir', `--overlay-dir ${directory}: ${why}`, { directory });
}
