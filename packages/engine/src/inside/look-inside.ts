// Looks into the file systems of a chain through libguestfs: a small machine of its own, which gets the disk read-only.
import {
  Guestfish,
  GuestfishError,
  guestfishPackages,
  type Host,
  QmpCommandError,
  viewChain,
} from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { hasProgram } from '../observe/has-program.ts';
import type { Context } from '../run/context.ts';
import { type Entry, nameOf, parseDetails, parseNames } from './entries.ts';
import {
  chooseFileSystem,
  type Mount,
  onlyRoot,
  parseFileSystems,
  parseMountpoints,
  parseRoots,
} from './mounts.ts';
import { findSubject, noHost, type Subject, type SubjectRequest } from './subject.ts';

export interface InsideRequest extends SubjectRequest {
  /** Absolute, inside of it. */
  readonly path: string;
  /** The device to mount; else what an operating system found there mounts, else the only file system. */
  readonly mount?: string;
}

export interface InsideOptions {
  readonly signal: AbortSignal;
  /** Told before the view is opened. */
  readonly onSubject?: (subject: Pick<Subject, 'words' | 'writer'>) => void;
}

/**
 * What a directory holds, by name; or the entry of a file itself, under the path that was asked for.
 *
 * @param detailed with sizes and the like of each entry
 * @throws Refusal for what is not there or cannot be looked at; GuestfishError, HostError, LibvirtError; the signal's reason
 */
export async function listInside(
  context: Context,
  request: InsideRequest,
  detailed: boolean,
  options: InsideOptions,
): Promise<Entry[]> {
  return withMounted(context, request, options, async (guestfish) => {
    const own = parseDetails(String(await about(request.path, guestfish.run('statns', request.path))));
    if (own?.type !== 'directory') {
      return [{ ...nameOf(Buffer.from(request.path)), details: own, target: undefined }];
    }
    const names = parseNames(await about(request.path, guestfish.run('ls0', request.path, '/dev/stdout')));
    const entries: Entry[] = [];
    for (const name of names) entries.push(await entryOf(guestfish, request.path, name, detailed));
    return entries;
  });
}

/**
 * A file's bytes, as they are. `write` is awaited for each piece.
 *
 * @throws as listInside
 */
export async function readInside(
  context: Context,
  request: InsideRequest,
  write: (chunk: Buffer) => Promise<void>,
  options: InsideOptions,
): Promise<void> {
  await withMounted(context, request, options, async (guestfish) => {
    const details = parseDetails(String(await about(request.path, guestfish.run('statns', request.path))));
    if (details !== undefined && details.type !== 'file') {
      const hint = details.type === 'directory' ? 'blockferry ls shows what it holds' : undefined;
      throw new Refusal('not-a-file', `${request.path} is no file but a ${details.type}`, {}, hint);
    }
    for await (const chunk of guestfish.download(request.path)) await write(chunk);
  });
}

async function withMounted<T>(
  context: Context,
  request: InsideRequest,
  { signal, onSubject }: InsideOptions,
  work: (guestfish: Guestfish) => Promise<T>,
): Promise<T> {
  const { host } = context;
  if (host === undefined) throw noHost();
  if (!request.path.startsWith('/')) {
    throw new Refusal('bad-path', `${request.path}: a path inside an image begins with a slash`);
  }
  await mustHaveGuestfish(host, signal);
  const subject = await findSubject(context, host, request);
  onSubject?.(subject);
  try {
    await using view = await viewChain(host, subject.chain, signal);
    await using guestfish = await Guestfish.start(host, view, signal);
    await guestfish.run('run');
    await mountAll(guestfish, request.mount);
    return await work(guestfish);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof QmpCommandError)) throw error;
    throw new Refusal('cannot-open', `${subject.words}: ${error.message}`, {}, undefined, { cause: error });
  }
}

async function mountAll(guestfish: Guestfish, wanted: string | undefined): Promise<void> {
  const roots = wanted === undefined ? parseRoots(String(await guestfish.run('inspect-os'))) : [];
  const root = onlyRoot(roots);
  if (root === undefined) {
    const found = parseFileSystems(String(await guestfish.run('list-filesystems')));
    return mount(guestfish, chooseFileSystem(found, wanted));
  }
  const [first, ...others] = parseMountpoints(String(await guestfish.run('inspect-get-mountpoints', root)));
  await mount(guestfish, first ?? { device: root, at: '/' });
  // An fstab may name what is not there.
  for (const { device, at } of others) await guestfish.attempt('mount-ro', device, at);
}

async function mount(guestfish: Guestfish, { device, at }: Mount): Promise<void> {
  try {
    await guestfish.run('mount-ro', device, at);
  } catch (error) {
    if (!(error instanceof GuestfishError)) throw error;
    throw new Refusal('cannot-mount', `${device}: ${error.message}`, {}, 'name another one: --mount DEV', {
      cause: error,
    });
  }
}

async function entryOf(
  guestfish: Guestfish,
  directory: string,
  name: Buffer,
  detailed: boolean,
): Promise<Entry> {
  if (!detailed) return { ...nameOf(name), details: undefined, target: undefined };
  const path = Buffer.concat([Buffer.from(directory.endsWith('/') ? directory : `${directory}/`), name]);
  const details = parseDetails(String(await guestfish.attempt('lstatns', path)));
  const isLink = details?.type === 'symlink';
  const target = isLink ? String(await guestfish.attempt('readlink', path)).replace(/\n$/, '') : undefined;
  return { ...nameOf(name), details, target };
}

/** What is wrong with a path is the operator's to correct. @throws Refusal `no-such-path` */
async function about<T>(path: string, asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof GuestfishError && /No such file or directory|Not a directory/.test(error.message)) {
      throw new Refusal('no-such-path', `${path} is not there`, { path }, undefined, { cause: error });
    }
    throw error;
  }
}

async function mustHaveGuestfish(host: Host, signal: AbortSignal): Promise<void> {
  if (await hasProgram(host, 'guestfish', signal)) return;
  const why = `there is no guestfish on ${host.name}, which looks into images`;
  throw new Refusal('no-guestfish', why, {}, guestfishPackages());
}
