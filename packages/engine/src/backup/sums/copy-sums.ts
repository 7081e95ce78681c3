// The sums of a full backup's images, reckoned while they are copied, and believed when all is copied and linked.
import { errnoOf, FileError, type Host } from '@blockferry/qemu';
import type { FollowLayers } from '../../layered/follower.ts';
import type { FollowedLayer, LayerPlan } from '../../layers/index.ts';
import type { Layer } from '../../model/record.ts';
import type { Bytes } from '../../model/units.ts';
import { encryptedAs, toImage } from '../../storage/to-image.ts';
import { RunningSum, type Sum } from './running-sum.ts';
import { DIGEST } from './sum-program.ts';

interface Followed {
  readonly layer: Layer;
  readonly sum: RunningSum;
  /** When the copy was written to last, once it is finished. */
  mtimeNs?: Promise<bigint | undefined>;
}

/**
 * What is summed is what the copy should hold: the bytes that the copying has read from the image, where it keeps them in
 * memory, else read from the image once more. Nothing of it is kept: after a crash, or where the sum fails, the copy itself
 * is read.
 */
export class CopySums {
  readonly #host: Host;
  readonly #signal: AbortSignal;
  readonly #followed = new Map<string, Followed>();

  /** @param signal ends all of them, which then have no result */
  constructor(host: Host, signal: AbortSignal) {
    this.#host = host;
    this.#signal = signal;
  }

  readonly follow: FollowLayers = (layerOf) => {
    const followed = (plan: LayerPlan) => {
      const layer = layerOf(plan);
      return layer && this.#followed.get(pathOf(layer.to) ?? '');
    };
    return {
      follows: (plan, facts) => this.#begin(layerOf(plan), facts),
      read: async (plan, { offset, length, kept }) => {
        await followed(plan)?.sum.add({ offset, length, kept });
      },
      finished: (plan) => {
        const found = followed(plan);
        if (found) found.mtimeNs ??= this.#mtimeOf(found.layer);
      },
    };
  };

  /**
   * The sum of a copy as it is now, if it is what was foreseen: its head is read, and a copy that no link was to be written
   * into must not have been written to since.
   *
   * @returns undefined where it is not known: the copy has to be read
   * @throws FileError, HostError when the copy cannot be looked at
   */
  async of(copy: string): Promise<Sum | undefined> {
    const followed = this.#followed.get(copy);
    if (followed?.mtimeNs === undefined) return undefined;
    const { layer, sum } = followed;
    const [found, mtimeNs] = await Promise.all([sum.result(), followed.mtimeNs]);
    if (found === undefined) return undefined;
    const { sha256, size, head } = found;
    const stat = await this.#host.stat(copy);
    const isAsLeft = layer.backing !== undefined || stat?.mtimeNs === mtimeNs;
    if (stat?.size !== size || !isAsLeft) return undefined;
    const now = await sumOfHead(this.#host, copy, head.bytes);
    return now === head.sha256 ? { sha256, size } : undefined;
  }

  stop(): void {
    for (const { sum } of this.#followed.values()) sum.stop();
    this.#followed.clear();
  }

  #begin(layer: Layer | undefined, { total, isContinued }: FollowedLayer): boolean {
    if (layer === undefined || !holdsWhatIsRead(layer)) return false;
    const [image, copy] = [pathOf(layer.from), pathOf(layer.to)];
    if (image === undefined || copy === undefined) return false;
    if (this.#followed.has(copy)) return true;
    // What was copied before would have to be read again, all at once.
    if (isContinued) return false;
    const sum = new RunningSum(this.#host, { image, total, backing: layer.backing }, this.#signal);
    this.#followed.set(copy, { layer, sum });
    return true;
  }

  async #mtimeOf({ to }: Layer): Promise<bigint | undefined> {
    const path = pathOf(to);
    const stat = path === undefined ? null : await this.#host.stat(path).catch(() => null);
    return stat?.mtimeNs;
  }
}

/**
 * Contents in a container made anew are not the bytes of its file, nor can those be summed while it is made: the first block of
 * a qcow2's reference counts, near its start, changes until 2 GiB lie behind it. A raw image is its contents.
 */
function holdsWhatIsRead({ how, from, to }: Layer): boolean {
  const isPlain = ({ format, source }: Layer['from']) => encryptedAs(source, format) === 'raw';
  return how === 'bytes' || (isPlain(from) && isPlain(to));
}

/** A whole file or device. */
function pathOf(image: Layer['from']): string | undefined {
  const { location, offset, size } = toImage(image);
  const isWhole = offset === undefined && size === undefined;
  return isWhole && (location.kind === 'file' || location.kind === 'block') ? location.path : undefined;
}

/** Of its first bytes. */
async function sumOfHead(host: Host, path: string, bytes: Bytes): Promise<string> {
  const script = `${DIGEST}\nhead -c "$2" -- "$1" | $digest`;
  const { stdout, stderr } = await host.run(['/bin/sh', '-c', script, 'sh', path, String(bytes)]);
  const sha256 = /^([0-9a-f]{64}) [ *]/.exec(stdout)?.[1];
  if (sha256 !== undefined && stderr === '') return sha256;
  throw new FileError({
    code: errnoOf(stderr),
    host: host.name,
    operation: 'read',
    path,
    detail: stderr.trim(),
  });
}
