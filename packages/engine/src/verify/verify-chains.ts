// Compares two chains as a guest would see them, and says which image holds what differs.
import {
  compare,
  formatLocation,
  type Host,
  type Image,
  type Location,
  map,
  QemuImgError,
} from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { Bytes } from '../model/units.ts';
import type { Context } from '../run/context.ts';
import { type NamedChain, placeNamed, type ReadChain, resolveChain } from './chains.ts';
import { Knowledge } from './knowledge.ts';
import { Pace, type Paced } from './pace.ts';
import type { Difference, Holder, Verified, VerifiedChain, VerifyReport, VerifyRequest } from './request.ts';
import { mustHaveHeldStill, mustHoldStill } from './stillness.ts';

const SECTOR = 512n;
const MAP_WITHIN_MS = 60_000;

export interface VerifyOptions {
  readonly signal: AbortSignal;
  readonly report: (report: VerifyReport) => void;
}

/**
 * Reads both chains whole, from their storage past the page cache where that can be done. Changes nothing, and keeps nobody
 * from writing: whether somebody did is looked at afterwards. May be repeated.
 *
 * @throws Refusal with nothing read; ImageChanged; QemuImgError when an image cannot be read to its end; FileError,
 * HostError, which the signal also causes
 */
export async function verifyChains(
  context: Context,
  request: VerifyRequest,
  options: VerifyOptions,
): Promise<Verified> {
  const { host } = context;
  if (host === undefined) {
    throw new Refusal(
      'no-host',
      'images are read on the host, and this connection gives no way to run tools there',
    );
  }
  const began = performance.now();
  const [first, second] = [
    await placeNamed(context, host, request.a),
    await placeNamed(context, host, request.b),
  ];
  const knowledge = await Knowledge.ask(context, [first, second].flatMap(locationIn));
  const a = await resolveChain(context, host, knowledge, first, '--format');
  const b = await resolveChain(context, host, knowledge, second, '--dest-format');
  const still = await mustHoldStill(host, knowledge, [...a, ...b]);
  for (const name of still.unsure) {
    const message = `nobody can tell whether ${name} is being written to: what is said of it holds only if it is not`;
    options.report({ type: 'warning', code: 'use-unknown', message });
  }
  const offset = await firstDifference(host, a, b, options);
  const difference = offset === undefined ? undefined : await holders(host, a, b, offset, options.signal);
  await mustHaveHeldStill(context, host, still);
  return { a: describe(a), b: describe(b), difference, durationMs: performance.now() - began };
}

function locationIn(name: NamedChain): readonly Location[] {
  return name.kind === 'image' ? [name.location] : [];
}

async function firstDifference(
  host: Host,
  a: ReadChain,
  b: ReadChain,
  { signal, report }: VerifyOptions,
): Promise<Bytes | undefined> {
  const total = larger(a[0].virtualSize, b[0].virtualSize);
  const pace = new Pace(total);
  const onProgress = (fraction: number) => report(progressOf(pace.part(fraction)));
  const compared = (direct: boolean) =>
    compare(host, imagesOf(a), imagesOf(b), { signal, onProgress, direct });
  const result = await compared(true).catch((error: unknown) => {
    if (!(error instanceof QemuImgError) || !/O_DIRECT|Invalid argument/.test(error.stderr)) throw error;
    return compared(false);
  });
  if (result.same) return undefined;
  if (result.offset === null) throw new Error(`qemu-img compare: ${result.detail}`);
  return result.offset;
}

async function holders(
  host: Host,
  a: ReadChain,
  b: ReadChain,
  offset: Bytes,
  signal: AbortSignal,
): Promise<Difference> {
  const [inA, inB] = [await holderOf(host, a, offset, signal), await holderOf(host, b, offset, signal)];
  return { offset, a: inA, b: inB };
}

async function holderOf(host: Host, chain: ReadChain, start: Bytes, signal: AbortSignal): Promise<Holder> {
  if (start >= chain[0].virtualSize) return { kind: 'end' };
  const part = { start, length: SECTOR };
  const [extent] = await map(host, imagesOf(chain), { timeoutMs: MAP_WITHIN_MS, signal, part });
  const holder = extent?.present ? chain[extent.depth] : undefined;
  if (extent === undefined || holder === undefined) return { kind: 'nothing' };
  return { kind: 'image', path: nameOf(holder.image), depth: extent.depth };
}

function describe(chain: ReadChain): VerifiedChain {
  const images = chain.map(({ image }) => ({ path: nameOf(image), format: image.format }));
  return { path: nameOf(chain[0].image), format: chain[0].image.format, size: chain[0].virtualSize, images };
}

function imagesOf([first, ...rest]: ReadChain): readonly [Image, ...Image[]] {
  return [first.image, ...rest.map(({ image }) => image)];
}

function nameOf({ location }: Image): string {
  return formatLocation(location);
}

function larger(one: Bytes, other: Bytes): Bytes {
  return one > other ? one : other;
}

function progressOf({ done, ...rest }: Paced): VerifyReport {
  return { type: 'progress', compared: done, ...rest };
}
