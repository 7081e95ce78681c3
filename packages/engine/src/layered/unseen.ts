// What an overlay holds that no definition names: QEMU, libvirtd and blockferry may have died together right after the snapshot
// that put the guest on it, before libvirt had noted that.
import { describeSource } from '@blockferry/libvirt';
import { type Host, map } from '@blockferry/qemu';
import { StepFailed } from '../model/errors.ts';
import type { LayeredWorld, Place, Unseen } from '../model/layered-world.ts';
import type { ImageRef, MoveRecord } from '../model/record.ts';
import { freezingOf } from '../model/rounds.ts';
import type { Journal } from '../record/journal.ts';
import type { Context } from '../run/context.ts';
import { toKeyedImage } from '../storage/passphrase.ts';
import { hostOf } from './act/files.ts';
import { claimOf, isSomething } from './claims.ts';
import { isMade } from './half-made.ts';

const WITHIN_MS = 10 * 60_000;

/**
 * Of an overlay of ours that the guest is not on, as far as can be seen. The image below it was written to for the last time
 * before the first write to the overlay, unless somebody started the domain on it since: the times of both tell. A power failure
 * may take either back by some seconds. Then a person is asked in vain; or what was written to the image below by a guest that had
 * just been started on it is not seen.
 *
 * @throws QemuImgError where it cannot be read, which says nothing of it; StepFailed, HostError where its storage hangs;
 *   LibvirtError as toKeyedImage does
 */
export async function unseenIn(
  context: Pick<Context, 'host' | 'link'>,
  overlay: ImageRef,
  { below, running }: { readonly below: ImageRef; readonly running: boolean },
): Promise<Unseen> {
  const host = hostOf({ context });
  if ((await mtimeOf(host, overlay)) === undefined) return 'nothing';
  const made = await isMade(host, overlay);
  if (made === 'unknown') throw silent(overlay);
  if (!made) return 'nothing';
  const image = await toKeyedImage(await context.link.connection(), overlay);
  const extents = await map(host, [image], { timeoutMs: WITHIN_MS });
  // Before QEMU 6.1 nothing is said to be present, and zeros that were written look like what was not.
  if (!extents.some(({ present, data }) => present || data)) return 'nothing';
  if (running) return 'both';
  const [above, under] = [await mtimeOf(host, overlay), await mtimeOf(host, below)];
  return above !== undefined && under !== undefined && above >= under ? 'writes' : 'both';
}

function silent({ source }: ImageRef): StepFailed {
  return new StepFailed(
    'freeze',
    `what is in ${describeSource(source)} is not known: its storage does not answer`,
  );
}

/** A device does not tell. */
export async function mtimeOf(host: Host, { source }: ImageRef): Promise<bigint | undefined> {
  return source.kind === 'file' ? (await host.stat(source.path))?.mtimeNs : undefined;
}

/** The same of the overlay that a move is about to put the guest on; `fresh`: this process made it for the QEMU that runs. */
export async function unseenAhead(
  context: Pick<Context, 'host' | 'link'>,
  move: MoveRecord,
  {
    domain,
    where,
    onNext,
    fresh,
    journal,
  }: Pick<LayeredWorld, 'domain' | 'onNext'> & {
    readonly where: Place;
    readonly fresh: boolean;
    readonly journal: Journal | undefined;
  },
): Promise<Unseen> {
  const again = move.layered?.next !== undefined;
  const running = domain === 'running';
  // A domain that is gone is on nothing: whatever it was on, it may have been on its overlay.
  const isOn = domain !== 'gone' && (again ? onNext || where !== 'overlay' : where !== 'origin');
  if (isOn || !(again || move.phase === 'freezing') || (running && fresh)) return 'nothing';
  // Who only looks, over such a connection.
  if (context.host === undefined) return 'nothing';
  const { ahead, below } = freezingOf(move);
  const claim = await claimOf(context, ahead, journal);
  if (claim === 'unknown') throw silent(ahead);
  return isSomething(claim) ? unseenIn(context, ahead, { below, running }) : 'nothing';
}
