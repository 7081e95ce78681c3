// What libvirt knows of images that were only named: their formats, and who writes to them.
import { type FileStat, formatLocation, type Location } from '@blockferry/qemu';
import { messageOf, Refusal } from '../model/errors.ts';
import { fileKeyOf } from '../observe/file-key.ts';
import { readUsage, type Usage, type Use, usesOf } from '../observe/usage.ts';
import type { Context } from '../run/context.ts';
import { toSource } from '../storage/to-image.ts';

/** An image, and the file that stands there, under whatever name; null where it is none. */
export interface Place {
  readonly location: Location;
  readonly stat: FileStat | null;
}

export class Knowledge {
  readonly #usage: Usage | undefined;
  readonly #why: unknown;

  private constructor(usage: Usage | undefined, why?: unknown) {
    this.#usage = usage;
    this.#why = why;
  }

  /** Asks libvirt, which takes a while where there are many domains. Where it does not answer, nothing is known, which matters only if something has to be. */
  static async ask({ link, host }: Context, locations: readonly Location[]): Promise<Knowledge> {
    const sources = locations.filter(isInXml).map(toSource);
    try {
      return new Knowledge(await readUsage(await link.connection(), host, sources));
    } catch (error) {
      return new Knowledge(undefined, error);
    }
  }

  /**
   * The format that a domain's definition, or an image that is over it there, declares.
   *
   * @param option to declare it with, for the hint
   * @throws Refusal `format-undeclared` when there is none, or not one
   */
  formatOf(location: Location, option: string): string {
    const name = formatLocation(location);
    const [format, ...others] = this.#formats(location);
    if (format !== undefined && others.length === 0) return format;
    const why =
      this.#usage === undefined
        ? `libvirt, which may know the format of ${name}, cannot be asked: ${messageOf(this.#why)}`
        : format === undefined
          ? `no domain uses ${name}, so its format is not known`
          : `domains use ${name} as ${[format, ...others].join(' and ')}`;
    throw new Refusal(
      'format-undeclared',
      why,
      {},
      `declare it: ${option} FORMAT (raw, qcow2…). It is not guessed: a guest can write any header into a raw image`,
      { cause: this.#why },
    );
  }

  /** The same for a backing file whose name in the header comes without one. */
  backingFormat(location: Location): string | undefined {
    const formats = this.#formats(location);
    return formats.length === 1 ? formats[0] : undefined;
  }

  /** The running domain whose active image, or whose copy in the making, this is. */
  writerOf(place: Place): Use | undefined {
    const writes = ({ definition, role, isReadonly }: Use) =>
      definition === 'live' && role !== 'backing' && isReadonly !== true;
    return this.#usesOf(place.location, place.stat).find(writes);
  }

  /** A running domain that has it open at all. */
  runningUserOf({ location, stat }: Place): Use | undefined {
    return this.#usesOf(location, stat).find(({ definition }) => definition === 'live');
  }

  #formats(location: Location): string[] {
    return [...new Set(this.#usesOf(location).map(({ format }) => format))];
  }

  #usesOf(location: Location, stat: FileStat | null = null): Use[] {
    if (this.#usage === undefined || !isInXml(location)) return [];
    const source = toSource(location);
    return stat === null ? usesOf(this.#usage, source) : usesOf(this.#usage, source, fileKeyOf(stat));
  }
}

/** Whether libvirt has words for it; see toSource. */
function isInXml(location: Location): boolean {
  return location.kind !== 'json' && !(location.kind === 'rbd' && location.namespace !== undefined);
}
