// One window of source and copy compared by qemu-img: slower than the daemon, but it says exactly what is wrong, and it
// is on every host (RHEL builds QEMU without the quorum driver).
import {
  type Blockdev,
  formatExactJson,
  type Host,
  type Image,
  secretsFor,
  toObjectArguments,
} from '@blockferry/qemu';
import { LayerFailed } from './errors.ts';
import type { LayerPlan } from './layer-plan.ts';
import { type Access, belowCopy, belowSource, windowOf } from './window-trees.ts';
import type { Window } from './windows.ts';

export type VerifyResult =
  | { readonly kind: 'same' }
  /** The first difference: bytes from the start of the layer. */
  | { readonly kind: 'differs'; readonly offset: bigint };

const SAME = 0;
const DIFFERENT = 1;

/**
 * Reads both, past the page cache if `access` can do that.
 *
 * @throws LayerFailed when one of them cannot be read; HostError, which the signal also causes
 */
export async function compareWindow(
  host: Host,
  plan: LayerPlan,
  window: Window,
  access: Access,
  signal: AbortSignal,
): Promise<VerifyResult> {
  const source = nameOf(windowOf(belowSource(plan, access), window, access));
  const copy = nameOf(windowOf(belowCopy(plan, access), window, access));
  const images: readonly Image[] = [plan.to, ...plan.chain];
  const cache = access.direct ? 'none' : 'writeback';
  const secrets = secretsFor([plan.from, ...images]);
  const objects = [...toObjectArguments(...images), ...(secrets?.args ?? [])];
  const argv = ['qemu-img', 'compare', ...objects, '-T', cache, source, copy];
  const limits = { timeoutMs: Infinity, signal, ...(secrets && { input: secrets.input }) };
  const { code, stdout, stderr } = await host.run(argv, limits);
  if (code === SAME) return { kind: 'same' };
  const mismatch = /mismatch at offset (\d+)/.exec(stdout)?.[1];
  if (code === DIFFERENT && mismatch !== undefined) {
    return { kind: 'differs', offset: window.offset + BigInt(mismatch) };
  }
  const [, at = '0', detail = stderr.trim()] =
    /reading offset (\d+) of .*: ([^:]*)$/s.exec(stderr.trim()) ?? [];
  const side = stderr.includes(source) ? 'source' : stderr.includes(copy) ? 'destination' : undefined;
  throw new LayerFailed(plan, { side, offset: window.offset + BigInt(at), detail });
}

function nameOf(tree: Blockdev): string {
  return `json:${formatExactJson(tree)}`;
}
