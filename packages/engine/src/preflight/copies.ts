// Preflight for copies: of one disk, or of several at one instant. The domain stays as it is.
import { Refusal } from '../model/errors.ts';
import type { GuardBound } from '../model/guard-bound.ts';
import type { Quiesce } from '../model/record.ts';
import type { BytesPerSecond } from '../model/units.ts';
import type { Context } from '../run/context.ts';
import { asGroup, type DisksTo, disksToMove, type GroupPreflight, mustGoTogether } from './group.ts';
import { type Preflight, preflight } from './preflight.ts';
import type { MoveRequest, NameOf } from './request.ts';

export interface CopiesRequest {
  /** Name or UUID. */
  readonly domain: string;
  /**
   * Each disk with its destination, a file or a directory; or every disk of the domain, into one directory. What is there is
   * never overwritten.
   */
  readonly disks: DisksTo;
  /** `chain`: every image byte for byte, in one directory a disk. `flatten`: one image of what the guest sees. */
  readonly scope: 'chain' | 'flatten';
  /** Of the one image; by default the active image's. */
  readonly format?: string;
  /** The one image, in qcow2, with its clusters compressed (zlib). */
  readonly compressed?: boolean;
  /** How the copies are called in a directory; by default as the images. */
  readonly nameOf?: NameOf;
  /** Read the copies back from their storage and compare. */
  readonly verify: boolean;
  /** How slow the guest's writes may become; undefined: that is not looked at. */
  readonly guard?: GuardBound;
  readonly bandwidth?: BytesPerSecond;
  /** Where the overlay goes that takes the guest's writes meanwhile; by default beside the disk's image. */
  readonly overlayDirectory?: string;
  readonly quiesce: Quiesce;
}

/**
 * One record a disk, to be run by `runGroup` (or, of one disk, `runMove`): all are frozen in one snapshot.
 *
 * @throws Refusal, with nothing touched: one disk that cannot be copied refuses the whole
 */
export async function preflightCopies(context: Context, request: CopiesRequest): Promise<GroupPreflight> {
  if (request.scope === 'chain' && request.format !== undefined) {
    const why = 'a copy byte for byte keeps the format of each image';
    throw new Refusal('format-keeps-shape', why, {}, 'leave the format out, or make one image');
  }
  const { disks, leftOut } = await disksToMove(context, request);
  const { domain } = request;
  const looks = await Promise.allSettled(
    disks.map((one) => preflight(context, { ...asked(request), domain, ...one })),
  );
  const found = looks.map((look): Preflight => {
    if (look.status === 'rejected') throw look.reason;
    return look.value;
  });
  const why = 'its images are frozen while they are copied, and the domain stays on them';
  const explained = found.map((one) => ({ ...one, why }));
  if (explained.length === 1) return { disks: explained, leftOut };
  await mustGoTogether(context, explained);
  return { disks: asGroup(explained, false), leftOut };
}

function asked(request: CopiesRequest): Omit<MoveRequest, 'domain' | 'disk' | 'destination'> {
  const {
    scope,
    format,
    compressed = false,
    nameOf,
    verify,
    guard,
    bandwidth,
    overlayDirectory,
    quiesce,
  } = request;
  return {
    scope,
    strategy: 'layered',
    verify,
    ...(guard !== undefined && { guard }),
    ...(overlayDirectory !== undefined && { overlayDirectory }),
    ...(format !== undefined && { format }),
    reuseExternal: false,
    hold: false,
    undefine: false,
    options: {
      ...(bandwidth !== undefined && { bandwidth }),
      synchronousWrites: false,
      converge: false,
      deleteSource: false,
    },
    copy: { quiesce, compressed, ...(nameOf !== undefined && { nameOf }) },
  };
}
