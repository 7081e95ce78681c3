// `qemu-img bitmap`: what libvirt does with persistent bitmaps when QEMU makes overlays, commits and copies, done for
// images that no QEMU writes to. A bitmap that only seems whole makes incremental backups that lack data.
//
// libvirt takes a bitmap for whole if the active image has it, enabled, and every image below has it so down to the one
// where it began (qemuBlockBitmapChainIsValid); what it recorded is what any of them has marked.
import type { Host } from '../host/host.ts';
import { toJsonFilename } from '../image/blockdev.ts';
import type { Image } from '../image/location.ts';
import { info, type PersistentBitmap } from './info.ts';
import { invoke, type QuickOptions, quickLimits } from './invoke.ts';

export interface CarriedBitmaps {
  /** The bitmaps that are whole in the image they were carried to. */
  readonly kept: readonly string[];
  /**
   * Those of which something is not known, because QEMU did not close them or the format has no place for them, and that
   * nobody may rely on.
   */
  readonly lost: readonly string[];
}

/**
 * For a new overlay over `below`, which was the active image of a domain that is off: gives it the bitmaps that go on
 * recording there. (An external snapshot of a running domain does that by itself.) The overlay must not be in use. May
 * be repeated.
 *
 * @throws QemuImgError, HostError
 */
export async function continueBitmaps(
  host: Host,
  below: Image,
  overlay: Image,
  options?: QuickOptions,
): Promise<void> {
  const present = await info(host, overlay, options);
  for (const bitmap of (await info(host, below, options)).bitmaps) {
    if (!isWhole(bitmap) || find(present.bitmaps, bitmap) !== undefined) continue;
    await edit(host, overlay, bitmap.name, adding(bitmap), [overlay], options);
  }
}

/**
 * After `commit` of `overlay` into `into`, which does not see to bitmaps by itself: qemu-img writes what the overlay has
 * through the enabled bitmaps of `into`, so those have it; those that only the overlay has are made, and everything the
 * overlay's recorded is added. (QEMU's own block commit, as libvirt orders it, needs none of this.)
 *
 * Neither image may be in use. A bitmap that the overlay was left with when its QEMU died is no loss where `into` has it
 * enabled: the commit recorded every cluster that the overlay holds. May be repeated.
 *
 * @throws QemuImgError, HostError
 */
export async function mergeBitmaps(
  host: Host,
  overlay: Image,
  into: Image,
  options?: QuickOptions,
): Promise<CarriedBitmaps> {
  const [above, below] = await Promise.all([info(host, overlay, options), info(host, into, options)]);
  const carried = newCarried();
  for (const bitmap of above.bitmaps) {
    if (into.format !== 'qcow2' || below.compat === '0.10') {
      carried.say(bitmap, false);
      continue;
    }
    const known = find(below.bitmaps, bitmap);
    const broken = known !== undefined && isInUse(known);
    if (broken || isInUse(bitmap)) {
      carried.say(bitmap, !broken && known !== undefined && isWhole(known));
      continue;
    }
    const args = known === undefined ? adding(bitmap) : [];
    await edit(
      host,
      into,
      bitmap.name,
      [...args, ...merging(bitmap.name, overlay)],
      [into, overlay],
      options,
    );
    carried.say(bitmap, true);
  }
  return { kept: carried.kept, lost: carried.lost };
}

/**
 * After the contents of a chain were copied into one image: gives it the bitmaps of the chain, each with what all of its
 * layers recorded. Without that, the bitmaps of an overlay over the copy would be taken for whole and lack everything
 * from before it: call it before anything is put over the copy.
 *
 * A bitmap of which a layer was not closed is made disabled, so that libvirt refuses it instead of trusting it. `layers`
 * (top first) may be open for reading, `into` must not be in use. May be repeated.
 *
 * @throws QemuImgError, HostError
 */
export async function gatherBitmaps(
  host: Host,
  layers: readonly [Image, ...Image[]],
  into: Image,
  options?: QuickOptions,
): Promise<CarriedBitmaps> {
  const above = await Promise.all(
    layers.map(async (image) => ({ image, bitmaps: (await info(host, image, options)).bitmaps })),
  );
  const present = await info(host, into, options);
  const carried = newCarried();
  for (const bitmap of above[0]?.bitmaps ?? []) {
    // A layer without it ends it: what is further down by that name is from another time.
    const end = above.findIndex(({ bitmaps }) => find(bitmaps, bitmap) === undefined);
    const parts = above.slice(0, end === -1 ? above.length : end);
    const broken = parts.some(({ bitmaps }) => isInUse(find(bitmaps, bitmap) ?? bitmap));
    const from = broken ? [] : parts.map(({ image }) => image);
    await rebuild(host, { bitmap, from, into, made: find(present.bitmaps, bitmap) }, options);
    carried.say(bitmap, !broken);
  }
  return { kept: carried.kept, lost: carried.lost };
}

/**
 * For a copy of an image's bytes that was opened for writing since, by a tool that may have been killed at it (to relink
 * it, or to commit into it): bitmaps that this left broken are made anew from those of the original. Neither may be in
 * use for writing. May be repeated.
 *
 * @throws QemuImgError, HostError
 */
export async function repairBitmaps(
  host: Host,
  original: Image,
  copy: Image,
  options?: QuickOptions,
): Promise<void> {
  const [wanted, present] = await Promise.all([original, copy].map((image) => info(host, image, options)));
  for (const bitmap of wanted?.bitmaps ?? []) {
    const made = find(present?.bitmaps ?? [], bitmap);
    if (isInUse(bitmap) || (made !== undefined && !isInUse(made))) continue;
    await rebuild(host, { bitmap, from: [original], into: copy, made }, options);
  }
}

/** Disabled until it has everything: a crash half-way leaves none that could be trusted. */
async function rebuild(
  host: Host,
  what: {
    readonly bitmap: PersistentBitmap;
    /** Of none: it stays disabled. */
    readonly from: readonly Image[];
    readonly into: Image;
    readonly made: PersistentBitmap | undefined;
  },
  options?: QuickOptions,
): Promise<void> {
  const { bitmap, from, into, made } = what;
  const { name } = bitmap;
  const broken = made !== undefined && isInUse(made);
  if (broken) await edit(host, into, name, ['--remove'], [into], options);
  if (made === undefined || broken) {
    await edit(host, into, name, adding({ ...bitmap, flags: [] }), [into], options);
  }
  for (const image of from) {
    await edit(host, into, name, merging(name, image), [into, image], options);
  }
  if (from.length > 0 && isEnabled(bitmap)) await edit(host, into, name, ['--enable'], [into], options);
}

function newCarried() {
  const kept: string[] = [];
  const lost: string[] = [];
  return {
    kept,
    lost,
    say: ({ name }: PersistentBitmap, isKept: boolean) => (isKept ? kept : lost).push(name),
  };
}

function adding(bitmap: PersistentBitmap): string[] {
  return ['--add', '-g', String(bitmap.granularity), isEnabled(bitmap) ? '--enable' : '--disable'];
}

function merging(name: string, from: Image): string[] {
  return ['--merge', name, '-b', toJsonFilename(from)];
}

async function edit(
  host: Host,
  image: Image,
  name: string,
  actions: readonly string[],
  images: readonly [Image, ...Image[]],
  options?: QuickOptions,
): Promise<void> {
  const args = [...actions, '--', toJsonFilename(image), name];
  await invoke(host, { verb: 'bitmap', images, args, limits: quickLimits(options) });
}

function find(among: readonly PersistentBitmap[], { name }: PersistentBitmap): PersistentBitmap | undefined {
  return among.find((one) => one.name === name);
}

/** Recording, as far as this image goes. */
function isWhole(bitmap: PersistentBitmap): boolean {
  return isEnabled(bitmap) && !isInUse(bitmap);
}

/** QEMU had it open and did not close it. */
function isInUse({ flags }: PersistentBitmap): boolean {
  return flags.includes('in-use');
}

function isEnabled({ flags }: PersistentBitmap): boolean {
  return flags.includes('auto');
}
