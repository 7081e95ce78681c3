// `qemu-img check`: is an image's own metadata consistent?
import type { Host } from '../host/host.ts';
import { toJsonFilename } from '../image/blockdev.ts';
import type { Image } from '../image/location.ts';
import type { ExactJson } from '../json/exact-json.ts';
import { type Call, invoke, type LongOptions, longLimits, parseObject } from './invoke.ts';

export type CheckResult =
  | { readonly verdict: 'clean' }
  /** Clusters that nothing refers to: space is lost, data is not. */
  | { readonly verdict: 'leaks'; readonly leaks: bigint }
  | { readonly verdict: 'corrupt'; readonly corruptions: bigint; readonly leaks: bigint }
  /** Raw and others have nothing to check. */
  | { readonly verdict: 'unsupported' };

const CLEAN = 0;
const CORRUPT = 2;
const LEAKS = 3;
const UNSUPPORTED = 63;

/**
 * Checks one image (not its backing files). On an image in use the answer means little: QEMU's cached metadata is not
 * on the disk yet. `repair` changes the image, 'leaks' being always safe. Throws QemuImgError when it cannot be read.
 */
export async function check(
  host: Host,
  image: Image,
  options: LongOptions & { readonly repair?: 'leaks' | 'all' },
): Promise<CheckResult> {
  const how = options.repair ? ['-r', options.repair] : ['-U'];
  const call: Call = {
    verb: 'check',
    images: [image],
    args: ['--output=json', ...how, toJsonFilename(image)],
    limits: longLimits(options),
    answers: [CLEAN, CORRUPT, LEAKS, UNSUPPORTED],
  };
  const { code, stdout } = await invoke(host, call);
  if (code === UNSUPPORTED) return { verdict: 'unsupported' };
  if (code === CLEAN) return { verdict: 'clean' };
  const report = parseObject(call, stdout);
  const leaks = count(report.leaks);
  return code === LEAKS
    ? { verdict: 'leaks', leaks }
    : { verdict: 'corrupt', corruptions: count(report.corruptions) + count(report['check-errors']), leaks };
}

const count = (value: ExactJson | undefined): bigint => (typeof value === 'bigint' ? value : 0n);
