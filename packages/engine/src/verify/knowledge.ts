// What libvirt knows of images that were only named: their formats, and who writes to them.
import { formatLocation, type Location } from '@blockferry/qemu';
import { messageOf, Refusal } from '../model/errors.ts';
import { readUsage, type Usage, type Use, usesOf } from '../observe/usage.ts';
import type { Context } from '../run/context.ts';
import { toSource } from '../storage/to-image.ts';

export class Knowledge {
  readonly #usage: Usage | undefined;
  readonly #why: unknown;

  private constructor(usage: Usage | undefined, why?: unknown) {
    this.#usage = usage;
    this.#why = why;
  }

  /** Asks libvirt. Where it does not answer, nothing is known, which matters only if something has to be. */
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
  writerOf(location: Location): Use | undefined {
    const writes = ({ definition, role }: Use) => definition === 'live' && role !== 'backing';
    return this.#usesOf(location).find(writes);
  }

  /** A running domain that has it open at all. */
  runningUserOf(location: Location): Use | undefined {
    return this.#usesOf(location).find(({ definition }) => definition === 'live');
  }

  #formats(location: Location): string[] {
    return [...new Set(this.#usesOf(location).map(({ format }) => format))];
  }

  #usesOf(location: Location): Use[] {
    return this.#usage === undefined || !isInXml(location) ? [] : usesOf(this.#usage, toSource(location));
  }
}

/** Whether libvirt has words for it; see toSource. */
function isInXml(location: Location): boolean {
  return location.kind !== 'json' && !(location.kind === 'rbd' && location.namespace !== undefined);
}
