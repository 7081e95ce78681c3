// Which images libvirt's snapshots need, of every domain on the host: nothing of that is deleted.
import {
  type Connection,
  type DiskSource,
  DomainListFlags,
  ErrorCode,
  isLibvirtError,
  type SnapshotImage,
  type SnapshotMode,
  SnapshotXml,
  sameSource,
} from '@blockferry/libvirt';
import { type Host, readChain } from '@blockferry/qemu';
import { messageOf } from '../model/errors.ts';
import { fileKeys, pathOf } from '../observe/file-key.ts';
import { placeOf } from '../observe/volumes.ts';
import { toImage, toRef } from '../storage/to-image.ts';

/** An image that a snapshot names, and how the snapshot keeps that disk. */
export type Named = {
  readonly domain: string;
  readonly snapshot: string;
  readonly image: SnapshotImage;
  readonly mode: SnapshotMode | undefined;
};
type Needed = { readonly who: string; readonly source: DiskSource };

/**
 * For each of `sources`, in words, the snapshot that needs it: one that names it, or that names an image above it.
 * Undefined: none does. Where what a snapshot needs cannot be found out, every source is needed.
 *
 * @throws LibvirtError, HostError when storage hangs
 */
export async function heldBySnapshots(
  connection: Connection,
  host: Host | undefined,
  sources: readonly DiskSource[],
): Promise<readonly (string | undefined)[]> {
  const needed: Needed[] = [];
  const chains = new Map<string, readonly DiskSource[]>();
  for (const { domain, snapshot, image } of await allNamed(connection)) {
    const key = JSON.stringify([image.source, image.format], (_, value) =>
      typeof value === 'bigint' ? `${value}` : value,
    );
    const who = `snapshot ${snapshot} of ${domain}`;
    try {
      const chain = chains.get(key) ?? (await chainOf(connection, host, image));
      chains.set(key, chain);
      needed.push(...chain.map((source) => ({ who, source })));
    } catch (error) {
      const words = `what ${who} needs is not known (${messageOf(error)})`;
      return sources.map(() => words);
    }
  }
  const all = [...needed.map(({ source }) => source), ...sources];
  let unread: string | undefined;
  const keys =
    host === undefined
      ? new Map<string, string>()
      : await fileKeys(host, all, ({ message }) => {
          unread = `what snapshots need is not known (${message})`;
        });
  if (unread !== undefined) return sources.map(() => unread);
  const keyOf = (source: DiskSource) => keys.get(pathOf(source) ?? '');
  return sources.map((source) => {
    const key = keyOf(source);
    const by = needed.find(
      (one) => sameSource(one.source, source) || (key !== undefined && keyOf(one.source) === key),
    );
    return by && `${by.who} needs it`;
  });
}

/** By the snapshots of every domain. @throws LibvirtError */
export async function allNamed(connection: Connection): Promise<readonly Named[]> {
  const found: Named[] = [];
  for (const domain of await connection.listAllDomains(DomainListFlags.HAS_SNAPSHOT)) {
    try {
      for (const snapshot of await domain.listAllSnapshots()) {
        const xml = SnapshotXml.parse(await snapshot.getXmlDesc());
        const named = { domain: domain.name, snapshot: snapshot.name };
        found.push(...xml.images().map((image) => ({ ...named, image, mode: xml.modeOf(image.target) })));
      }
    } catch (error) {
      // Gone between the list and now: then it needs nothing.
      const gone =
        isLibvirtError(error, ErrorCode.NO_DOMAIN) || isLibvirtError(error, ErrorCode.NO_DOMAIN_SNAPSHOT);
      if (!gone) throw error;
    }
  }
  return found;
}

/** The image and those below it. One that is not there any more needs nothing: its metadata is old. */
export async function chainOf(
  connection: Connection,
  host: Host | undefined,
  { source, format = 'raw' }: SnapshotImage,
): Promise<readonly DiskSource[]> {
  const place = await placeOf(connection, source);
  if (format === 'raw') return [place];
  if (host === undefined) throw new Error('its images cannot be read over this connection');
  const path = pathOf(place);
  if (path !== undefined && (await host.stat(path)) === null) return [place];
  const chain = await readChain(host, toImage({ source: place, format }));
  return chain.map(({ image }) => toRef(image).source);
}
