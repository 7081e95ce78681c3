// An RBD image as destination: made by us where there is none, and never one that somebody has open.
import { type DiskSource, type DomainXml, describeSource } from '@blockferry/libvirt';
import { type Host, lookAtRbd, RbdError, type RbdLocation, rbdUse } from '@blockferry/qemu';
import { messageOf, Refusal } from '../model/errors.ts';
import type { CopyOptions, ImageRef, Ownership } from '../model/record.ts';
import { unreachable } from '../model/units.ts';
import { isHang } from '../observe/hang.ts';
import { toLocation, toSource } from '../storage/to-image.ts';
import type { Destination } from './destination.ts';
import { ANSWER_WITHIN_MS, silent } from './look.ts';
import type { MoveRequest } from './request.ts';
import type { Situation } from './situation.ts';

/** The user of librados where none is named. */
const DEFAULT_USER = 'admin';

/** What libvirt calls the image of an `rbd:` name. @throws Refusal `unsupported-storage`, `bad-destination` */
export function rbdSource(live: DomainXml, location: RbdLocation): DiskSource {
  const { user, ...place } = location;
  if (place.namespace !== undefined) {
    throw new Refusal('unsupported-storage', 'libvirt has no words for a namespace of an RBD pool');
  }
  if (place.snapshot !== undefined) {
    throw new Refusal('bad-destination', 'a snapshot of an RBD image cannot be written to');
  }
  const source = toSource(place);
  if (user === undefined || source.kind === 'other') return source;
  const auth = authOf(live, user);
  return auth === undefined ? source : { ...source, auth };
}

/** libvirt takes a user together with the secret that holds its key, and gives both to QEMU. */
function authOf(live: DomainXml, user: string): string | undefined {
  const known = live
    .disks()
    .flatMap(({ chain }) => chain.map(({ source }) => (source.kind === 'network' ? source : undefined)))
    .find((source) => source?.protocol === 'rbd' && userOf(source) === user);
  if (known?.auth !== undefined) return known.auth;
  if (user === DEFAULT_USER) return undefined;
  throw new Refusal(
    'bad-destination',
    `libvirt takes the user ${user} only together with the secret of its key, and no disk of ${live.name} has it`,
    { user },
    `name the destination by --dest-xml, its <source> with <auth username='${user}'><secret type='ceph' uuid='…'/></auth>`,
  );
}

function userOf(source: DiskSource): string | undefined {
  const location = toLocation(source);
  return location.kind === 'rbd' ? location.user : undefined;
}

/** @throws Refusal */
export async function onRbd(
  { host, capacity }: Situation,
  request: MoveRequest,
  image: ImageRef,
): Promise<Destination> {
  const { source, format } = image;
  const name = describeSource(source);
  const reused: Ownership = { kind: 'reused' };
  const location = toLocation(source);
  // Without tools on the host it must be there: libvirt makes none.
  if (host === undefined || location.kind !== 'rbd') return { image, ownership: reused, stat: undefined };
  const exists = await isThere(host, location, name);
  if (exists && !request.reuseExternal) {
    const hint = 'choose another name, or give --reuse-external to use it as it is';
    throw new Refusal('destination-exists', `${name} exists`, {}, hint);
  }
  if (!exists && request.reuseExternal) {
    throw new Refusal('destination-missing', `${name} does not exist, so there is nothing to reuse`);
  }
  if (exists) return { image, ownership: reused, stat: undefined };
  if (format !== 'raw') {
    throw new Refusal('unsupported-format', `${name} would be ${format}, and an RBD image is raw`, {
      format,
    });
  }
  return { image, ownership: { kind: 'rbd-image', capacity }, stat: undefined };
}

async function isThere(host: Host, location: RbdLocation, name: string): Promise<boolean> {
  const look = await lookAtRbd(host, location, ANSWER_WITHIN_MS);
  switch (look.kind) {
    case 'there':
      return true;
    case 'absent':
      return false;
    case 'no-pool':
      throw new Refusal('no-such-pool', `there is no Ceph pool ${location.pool}`, { pool: location.pool });
    case 'hang':
      throw silent(name, look.detail);
    case 'error':
      throw new Refusal(
        'destination-unusable',
        look.detail,
        {},
        'does the host know the cluster, and its key?',
      );
    default:
      return unreachable(look);
  }
}

/** @returns false where nobody can tell (no `rbd` on the host). @throws Refusal `destination-in-use`, `destination-silent` */
export async function mustBeUnused(host: Host, source: DiskSource): Promise<boolean> {
  const location = toLocation(source);
  if (location.kind !== 'rbd') return true;
  const name = describeSource(source);
  const use = await rbdUse(host, location, { timeoutMs: ANSWER_WITHIN_MS }).catch((error: unknown) => {
    if (isHang(error)) throw silent(name, messageOf(error));
    if (error instanceof RbdError) throw new Refusal('destination-unusable', error.message);
    throw error;
  });
  if (use === undefined) return false;
  const [watcher] = use.watchers;
  if (watcher !== undefined) throw inUse(name, `${watcher} has it open`);
  const [locker] = use.lockers;
  if (locker !== undefined) throw inUse(name, `${locker} has locked it`);
  return true;
}

function inUse(name: string, why: string): Refusal {
  const hint = 'end what uses it; a client that was killed counts for 30 s more';
  return new Refusal('destination-in-use', `${name} is in use: ${why}`, {}, hint);
}

/**
 * QEMU zeroes a piece of its target only if it is whole clusters of it, and writes zeros otherwise; an RBD image has
 * clusters of 4 MiB. With pieces of that size an object without data stays unallocated (seen with QEMU 7.2: 52 MiB
 * instead of 176).
 */
export function optionsFor({ options }: MoveRequest, { image, clusterSize }: Destination): CopyOptions {
  if (image.source.kind !== 'network' || image.source.protocol !== 'rbd') return options;
  return { bufSize: clusterSize ?? RBD_OBJECT_BYTES, ...options };
}

/** rbd_default_order */
const RBD_OBJECT_BYTES = 4n << 20n;
