// The images, and the NVRAM, that a domain left at home when it was migrated: a way back, until somebody says that it is not
// needed.
import { dirname } from 'node:path';
import type { Host } from '@blockferry/qemu';
import { messageOf } from '../model/errors.ts';
import { readDefinitions } from '../observe/definitions.ts';
import { readUsage, usesOf } from '../observe/usage.ts';
import type { LeftNote } from '../record/open-moves.ts';
import { keep, type Verdict } from '../record/verdict.ts';
import type { Context } from '../run/context.ts';
import { sideOf } from './hosts.ts';
import type { Reach } from './leftovers.ts';
import type { OneSide, Pair } from './pair.ts';
import { chainAt, type MigrationRecord, pathOf } from './record.ts';
import { userOf } from './state.ts';

export interface LeftImages {
  readonly note: LeftNote;
  /** The host that it was migrated from. */
  readonly home: OneSide;
  /** `remove-journal`: the images are gone, or are others by now: nothing is left but our note. */
  readonly verdict: Verdict;
  /** What others need, while the rest goes. */
  readonly stays: readonly StayingImage[];
}

export interface StayingImage {
  readonly path: string;
  /** `is used by …` */
  readonly why: string;
}

/**
 * Notes what stays at home, each file as it is now. Best effort: that nothing is noted loses nothing. May be repeated.
 *
 * @returns their paths
 */
export async function noteLeftImages({ home }: Pair, record: MigrationRecord): Promise<readonly string[]> {
  const images: LeftNote['images'][number][] = [];
  const sources = new Set(record.disks.flatMap((disk) => chainAt(disk, 'home').map(pathOf)));
  const nvrams = record.states.filter(({ kind }) => kind === 'nvram');
  for (const path of [...sources, ...nvrams.map((nvram) => nvram.path)]) {
    const stat = await home.host.stat(path).catch(() => null);
    if (stat !== null) images.push({ path, ...stamp(stat) });
  }
  if (images.length === 0) return [];
  const { id, domain, hosts } = record;
  const time = new Date().toISOString();
  await home.openMoves.noteLeft({ id, time, domain, home: record.home, away: record.away, hosts, images });
  return images.map(({ path }) => path);
}

/**
 * How a domain was migrated away from here that is not here any more: whoever was killed after its last step did not live to
 * tell.
 *
 * @param name name or UUID
 * @throws ConnectionClosed, LibvirtError, Refusal `host-unknown`
 */
export async function migratedFrom(
  { openMoves, link }: Pick<Context, 'openMoves' | 'link'>,
  name: string,
): Promise<LeftNote | undefined> {
  const note = await openMoves.leftLast(name, link.uri);
  if (note === undefined) return undefined;
  const here = await link.connection();
  const isGone = (await readDefinitions(here, note.domain.uuid)) === undefined;
  return isGone && (await sideOf(here, note)) === 'home' ? note : undefined;
}

/** Whether it is where it was migrated to. @throws as `migratedFrom` */
export async function isWhereMigrated({ link }: Pick<Context, 'link'>, note: LeftNote): Promise<boolean> {
  const there = await link.connection();
  if ((await sideOf(there, note)) !== 'away') return false;
  return (await readDefinitions(there, note.domain.uuid)) !== undefined;
}

function stamp({ device, inode, mtimeNs }: Readonly<Record<'device' | 'inode' | 'mtimeNs', bigint>>) {
  return { device: `${device}`, inode: `${inode}`, mtimeNs: `${mtimeNs}` };
}

/** @param target a domain (name or UUID) that was migrated; or a path: one of the images, or the directory of one */
export async function findLeftImages(here: OneSide, target: string, reach: Reach): Promise<LeftImages[]> {
  const isPath = target.includes('/');
  const notes = (await here.openMoves.left(isPath ? undefined : target)).filter(
    ({ images }) => !isPath || images.some(({ path }) => path === target || dirname(path) === target),
  );
  const found: LeftImages[] = [];
  for (const note of notes) {
    const side = await sideOf(await here.link.connection(), note);
    if (side === undefined) continue;
    const pair =
      side === 'home' ? { home: here, away: reach(note.away) } : { home: reach(note.home), away: here };
    found.push({ note, home: pair.home, ...(await verdictOn(pair, note).catch(unseen)) });
  }
  return found;
}

/** Looks once more, and removes them, then our note. May be repeated. @returns what was removed, at home */
export async function removeLeftImages(here: OneSide, left: LeftImages, reach: Reach): Promise<string[]> {
  const [now] = (await findLeftImages(here, left.note.domain.uuid, reach)).filter(
    ({ note }) => note.id === left.note.id,
  );
  if (now === undefined || now.verdict.kind === 'keep') return [];
  const removed: string[] = [];
  for (const path of now.verdict.kind === 'remove-copy' ? now.verdict.paths : []) {
    if (await now.home.host.unlink(path)) removed.push(path);
  }
  // What another note has as well is that one's to tell of.
  const others = await here.openMoves.left(undefined);
  const images = left.note.images.filter(
    ({ path }) =>
      now.stays.some((staying) => staying.path === path) && wayBackOf(others, left.note, path) === undefined,
  );
  if (images.length > 0) await here.openMoves.noteLeft({ ...left.note, images });
  else await here.openMoves.forgetLeft(left.note);
  return removed;
}

function unseen(error: unknown): Pick<LeftImages, 'verdict' | 'stays'> {
  const hint = 'if the other host is reached otherwise from here, add --peer URI';
  return kept(`whether they are still needed cannot be seen: ${messageOf(error)}`, hint);
}

/** @throws when a host cannot be looked at */
async function verdictOn(pair: Pair, note: LeftNote): Promise<Pick<LeftImages, 'verdict' | 'stays'>> {
  const { home, away } = pair;
  const { domain, images, hosts } = note;
  const [here, there] = [await home.link.connection(), await away.link.connection()];
  if ((await sideOf(here, { hosts })) !== 'home' || (await sideOf(there, { hosts })) !== 'away') {
    return kept('one of the two hosts is another one from here', 'say how it is reached: --peer URI');
  }
  const remaining: string[] = [];
  for (const { path, ...was } of images) {
    const stat = await home.host.stat(path);
    if (stat === null) continue;
    const now = stamp(stat);
    if (now.device !== was.device || now.inode !== was.inode) continue;
    if (now.mtimeNs !== was.mtimeNs) return kept(`${path} was written to since ${domain.name} left it`);
    remaining.push(path);
  }
  if (remaining.length === 0) return { verdict: { kind: 'remove-journal' }, stays: [] };
  // One that has come back is here on other images than these, or uses them.
  const found = (await readDefinitions(there, domain.uuid)) ?? (await readDefinitions(here, domain.uuid));
  if (found === undefined) {
    return kept(
      `${domain.name} is not where it was migrated to any more: these may be all that is left of it`,
    );
  }
  return verdictOnUnused(pair, note, remaining);
}

/** What nobody uses goes, and the rest stays. */
async function verdictOnUnused(
  { home }: Pair,
  note: LeftNote,
  remaining: readonly string[],
): Promise<Pick<LeftImages, 'verdict' | 'stays'>> {
  const here = await home.link.connection();
  const sources = remaining.map((path) => ({ kind: 'file', path }) as const);
  const usage = await readUsage(here, home.host, sources);
  const others = await home.openMoves.left(undefined);
  const stays: StayingImage[] = [];
  const goes: string[] = [];
  for (const source of sources) {
    const { path } = source;
    const [use] = usesOf(usage, source);
    const user = await userOf(here, [{ kind: 'nvram', path }], note.domain.uuid);
    const other = wayBackOf(others, note, path);
    if (other !== undefined) stays.push({ path, why: `is on the way back of ${other.domain.name} too` });
    else if (use !== undefined) stays.push({ path, why: `is used by ${use.domain} for ${use.disk}` });
    else if (user !== undefined) stays.push({ path, why: `is used by ${user.domain} for its firmware` });
    else goes.push(...(await withTarget(home.host, path)));
  }
  const [first] = stays;
  if (goes.length === 0 && first !== undefined) return kept(`${first.path} ${first.why}`);
  const [unknown] = usage.unknown;
  if (unknown === undefined) return { verdict: { kind: 'remove-copy', paths: goes }, stays };
  return kept(
    `they may be used: the chain of ${unknown.disk} of ${unknown.domain} cannot be read (${unknown.why})`,
  );
}

function kept(why: string, hint?: string): Pick<LeftImages, 'verdict' | 'stays'> {
  return { verdict: keep(why, hint), stays: [] };
}

/**
 * Pure. Another domain that left the same image, with others that need it: a base that both stood on. Of two that left nothing
 * else, neither keeps it from going.
 */
export function wayBackOf(others: readonly LeftNote[], note: LeftNote, path: string): LeftNote | undefined {
  const own = new Set(note.images.map((image) => image.path));
  return others.find(
    ({ id, hosts, images }) =>
      id !== note.id &&
      hosts.home === note.hosts.home &&
      images.some((image) => image.path === path) &&
      images.some((image) => !own.has(image.path)),
  );
}

/** Where a name is a symbolic link, the image first: what is left of a crash in between is a link. */
async function withTarget(host: Host, path: string): Promise<string[]> {
  const stat = await host.stat(path, { followSymlinks: false });
  return stat?.type === 'symlink' ? [await host.realpath(path), path] : [path];
}
