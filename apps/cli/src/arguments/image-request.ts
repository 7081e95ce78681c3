// From the options of `image` to the engine's request.
import type { CopiesRequest, Quiesce } from '@blockferry/engine';
import { parseGuard } from './guard.ts';
import { verifyOf } from './move-request.ts';
import { parseRate } from './size.ts';
import { UsageError } from './usage-error.ts';

/** The options as the parser leaves them. */
export interface ImageOptions {
  readonly disk?: string;
  readonly format?: string;
  readonly compress?: boolean;
  readonly quiesce?: string;
  readonly verify?: string;
  readonly guard?: string;
  readonly overlayDir?: string;
  readonly bandwidth?: string;
  readonly bytes?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly yes?: boolean;
}

/** @throws UsageError for options that cannot be read */
export function imageRequest(
  domain: string,
  disk: string,
  destination: string,
  options: ImageOptions,
): CopiesRequest {
  const { compress = false, overlayDir, bandwidth: limit, bytes = false } = options;
  const guard = parseGuard(options.guard);
  const bandwidth = limit === undefined ? 0n : parseRate(limit, '--bandwidth', { bytes });
  // Only this format holds compressed clusters, so that is what is meant.
  const format = options.format ?? (compress ? 'qcow2' : undefined);
  return {
    domain,
    disks: [{ disk, destination }],
    scope: 'flatten',
    ...(format !== undefined && { format }),
    compressed: compress,
    verify: verifyOf(options.verify),
    ...(guard !== 'off' && { guard }),
    ...(bandwidth > 0n && { bandwidth }),
    ...(overlayDir !== undefined && { overlayDirectory: overlayDir }),
    quiesce: quiesceOf(options.quiesce),
  };
}

function quiesceOf(text: string | undefined): Quiesce {
  if (text === undefined || text === 'auto') return 'auto';
  if (text === 'require' || text === 'off') return text;
  throw new UsageError(`--quiesce ${text}: there is nothing of that name`, 'auto, require or off');
}
