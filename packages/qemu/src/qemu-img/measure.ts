// `qemu-img measure`: how much room an image will need.
import type { Host } from '../host/host.ts';
import type { Image } from '../image/location.ts';
import { chainName } from './compare.ts';
import { optionList } from './create.ts';
import { type Call, invoke, parseObject, type QuickOptions, quickLimits } from './invoke.ts';

export interface Measure {
  /** Bytes that the contents need at least. */
  readonly required: bigint;
  /** Bytes once every cluster has been written. */
  readonly fullyAllocated: bigint;
  /** Bytes that persistent bitmaps add; null if the format has none. */
  readonly bitmaps: bigint | null;
}

export interface MeasureOptions extends QuickOptions {
  readonly formatOptions?: Readonly<Record<string, string | number | bigint | boolean>>;
}

/** Measures a new image of `format` for a chain (as one image) or for a virtual size in bytes. */
export async function measure(
  host: Host,
  what: readonly [Image, ...Image[]] | bigint,
  format: string,
  options: MeasureOptions = {},
): Promise<Measure> {
  const output: Image = { location: { kind: 'file', path: '/' }, format };
  const source = typeof what === 'bigint' ? ['--size', String(what)] : ['-U', chainName(what)];
  const formatOptions = options.formatOptions ? ['-o', optionList(options.formatOptions)] : [];
  const call: Call = {
    verb: 'measure',
    images: typeof what === 'bigint' ? [output] : [...what],
    args: ['--output=json', '-O', format, ...formatOptions, ...source],
    limits: quickLimits(options),
  };
  const object = parseObject(call, (await invoke(host, call)).stdout);
  const { required, bitmaps, 'fully-allocated': full } = object;
  return {
    required: typeof required === 'bigint' ? required : 0n,
    fullyAllocated: typeof full === 'bigint' ? full : 0n,
    bitmaps: typeof bitmaps === 'bigint' ? bitmaps : null,
  };
}
