// `qemu-img map`: which parts of an image are data, zeros, or left to the backing file.
import type { Host } from '../host/host.ts';
import type { Image } from '../image/location.ts';
import { isJsonObject, type JsonObject } from '../json/exact-json.ts';
import { chainName } from './compare.ts';
import { QemuImgError } from './errors.ts';
import { type Call, invoke, type LongOptions, longLimits, parseOutput } from './invoke.ts';

/** All in bytes of the guest's view; `offset` in bytes of the file that holds it. */
export interface MapExtent {
  readonly start: bigint;
  readonly length: bigint;
  /** How far down the chain it was found, 0 being the top. */
  readonly depth: number;
  /** Allocated in some image of the chain. */
  readonly present: boolean;
  readonly zero: boolean;
  readonly data: boolean;
  readonly offset: bigint | null;
}

export type MapOptions = LongOptions & {
  /** Only this part of it, in bytes. */
  readonly part?: { readonly start: bigint; readonly length: bigint };
};

/** Maps a chain, top first. Reads metadata only, but a big image may have much of it. */
export async function map(
  host: Host,
  chain: readonly [Image, ...Image[]],
  options: MapOptions,
): Promise<MapExtent[]> {
  const { part } = options;
  const limits = part === undefined ? [] : [`--start-offset=${part.start}`, `--max-length=${part.length}`];
  const call: Call = {
    verb: 'map',
    images: [...chain],
    args: ['--output=json', '-U', ...limits, chainName(chain)],
    limits: longLimits(options),
  };
  const { stdout } = await invoke(host, call);
  const extents = parseOutput(call, stdout);
  if (Array.isArray(extents) && extents.every(isJsonObject)) return extents.map(parseExtent);
  const stderr = 'output that is no list of extents';
  throw new QemuImgError({ operation: 'map', location: chain[0].location, stderr });
}

function parseExtent(extent: JsonObject): MapExtent {
  const { start, length, depth, offset } = extent;
  return {
    start: typeof start === 'bigint' ? start : 0n,
    length: typeof length === 'bigint' ? length : 0n,
    depth: Number(depth),
    present: extent.present === true,
    zero: extent.zero === true,
    data: extent.data === true,
    offset: typeof offset === 'bigint' ? offset : null,
  };
}
