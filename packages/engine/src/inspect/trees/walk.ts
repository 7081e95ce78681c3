// Reads the images of all chains, from every active image down, each of them once. Headers only.
import { type DiskSource, describeSource } from '@blockferry/libvirt';
import {
  type FileStat,
  followBacking,
  formatLocation,
  type Host,
  type Image,
  type ImageHeader,
  type Location,
  readHeader,
  resolveBackingReference,
} from '@blockferry/qemu';
import { messageOf } from '../../model/errors.ts';
import type { ImageRef } from '../../model/record.ts';
import { fileKeyOf } from '../../observe/file-key.ts';
import { toOpenableImage } from '../../storage/tls-credentials.ts';
import { toImage } from '../../storage/to-image.ts';
import type { ImageKey, SeenImage, SeenLink } from './tree.ts';

/** So many headers are read at once. */
const AT_ONCE = 6;

/** Declares a format where a header names none. */
export type FormatOf = (location: Location) => string | undefined;

export class Walk {
  /** What came of each, by name and format. */
  readonly #seen = new Map<string, SeenImage>();
  readonly #host: Host;
  readonly #formatOf: FormatOf;
  readonly #signal: AbortSignal | undefined;

  constructor(host: Host, formatOf: FormatOf, signal?: AbortSignal) {
    this.#host = host;
    this.#formatOf = formatOf;
    this.#signal = signal;
  }

  get images(): SeenImage[] {
    return [...this.#seen.values()];
  }

  /** Of an image that was walked down from. */
  keyOf(ref: ImageRef): ImageKey {
    return this.#seen.get(nameOfRef(ref))?.key ?? keyOfSource(ref.source);
  }

  /** Reads these and all that they stand on. One that cannot be read is seen with its problem. @throws what the signal's reason is */
  async down(tops: readonly ImageRef[]): Promise<void> {
    let level: Image[] = [];
    for (const ref of tops) {
      try {
        level.push(await toOpenableImage(this.#host, ref));
      } catch (error) {
        const unread = failed(describeSource(ref.source), ref.format, keyOfSource(ref.source), error);
        this.#seen.set(nameOfRef(ref), unread);
      }
    }
    while (level.length > 0) level = await this.#lookAll(level);
  }

  /** Reads these, and not what they stand on: nobody vouches for what their headers say. */
  async alone(images: readonly Image[]): Promise<void> {
    await this.#lookAll(images);
  }

  /** @returns what they stand on */
  async #lookAll(images: readonly Image[]): Promise<Image[]> {
    const below: Image[] = [];
    const pending = images.filter((image) => this.#claim(image));
    for (let at = 0; at < pending.length; at += AT_ONCE) {
      const found = await Promise.all(pending.slice(at, at + AT_ONCE).map((image) => this.#look(image)));
      below.push(...found.filter((image) => image !== undefined));
    }
    return below;
  }

  /** Before it is looked at: two chains meet at their base at the same time. */
  #claim({ location, format }: Image): boolean {
    const path = formatLocation(location);
    if (this.#seen.has(nameOf(path, format))) return false;
    this.#seen.set(nameOf(path, format), failed(path, format, keyOfLocation(location), 'not looked at'));
    return true;
  }

  async #look(image: Image): Promise<Image | undefined> {
    const path = formatLocation(image.location);
    const name = nameOf(path, image.format);
    try {
      const header = await readHeader(this.#host, image, this.#signal ? { signal: this.#signal } : {});
      const followed = await this.#follow(header);
      this.#seen.set(name, seenImage(header, followed?.link));
      return followed?.next;
    } catch (error) {
      this.#signal?.throwIfAborted();
      this.#seen.set(name, failed(path, image.format, keyOfLocation(image.location), error));
      return undefined;
    }
  }

  async #follow({ image, backing }: ImageHeader): Promise<Followed | undefined> {
    if (backing === null) return undefined;
    const { reference } = backing;
    try {
      const { location, relative } = resolveBackingReference(image.location, reference);
      const stat = await this.#stat(location);
      const base = { key: keyOfFile(location, stat), path: formatLocation(location) };
      if (stat === null) return { link: { reference, relative, base, broken: 'it does not exist' } };
      const link = { reference, relative, base, broken: undefined };
      try {
        return { link, next: followBacking(image, backing, { formatOf: this.#formatOf }).next };
      } catch (error) {
        return { link: { ...link, broken: messageOf(error) } };
      }
    } catch (error) {
      this.#signal?.throwIfAborted();
      return { link: { reference, relative: false, base: undefined, broken: messageOf(error) } };
    }
  }

  /** Undefined: no file; null: there is none. */
  async #stat(location: Location): Promise<FileStat | null | undefined> {
    if (location.kind !== 'file' && location.kind !== 'block') return undefined;
    return this.#host.stat(location.path, this.#signal ? { signal: this.#signal } : {});
  }
}

interface Followed {
  readonly link: SeenLink;
  readonly next?: Image;
}

/** Of what is not there to be looked at. */
export const keyOfSource = (source: DiskSource): ImageKey => `name ${describeSource(source)}`;
const keyOfLocation = (location: Location): ImageKey => `name ${formatLocation(location)}`;

function keyOfFile(location: Location, stat: FileStat | null | undefined): ImageKey {
  return stat ? fileKeyOf(stat) : keyOfLocation(location);
}

const nameOf = (path: string, format: string): string => `${format} ${path}`;

function nameOfRef(ref: ImageRef): string {
  try {
    const { location, format } = toImage(ref);
    return nameOf(formatLocation(location), format);
  } catch {
    // Storage that we have no words for is seen under libvirt's.
    return nameOf(describeSource(ref.source), ref.format);
  }
}

function seenImage(header: ImageHeader, backing: SeenLink | undefined): SeenImage {
  const { image, stat, length, virtualSize, allocated } = header;
  return {
    key: keyOfFile(image.location, stat),
    path: formatLocation(image.location),
    format: image.format,
    virtualSize,
    // A block device has all of its length.
    allocated: stat?.type === 'block' ? (length ?? undefined) : (allocated ?? undefined),
    backing,
    problem: undefined,
  };
}

function failed(path: string, format: string, key: ImageKey, why: unknown): SeenImage {
  const unread = { virtualSize: undefined, allocated: undefined, backing: undefined };
  const problem = typeof why === 'string' ? why : messageOf(why);
  return { key, path, format, ...unread, problem };
}
