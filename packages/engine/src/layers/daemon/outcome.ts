// What QEMU says about a window, as the errors of a copy.
import { QmpCommandError } from '@blockferry/qemu';
import { LayerFailed, LayerInUse, type Side } from '../errors.ts';
import type { LayerPlan } from '../layer-plan.ts';
import type { Window } from '../windows.ts';
import type { JobEnd } from './block-job.ts';

export type VerifyResult =
  | { readonly kind: 'same' }
  /** A request in which they differ: bytes from the start of the layer. */
  | { readonly kind: 'differs'; readonly offset: bigint; readonly length: bigint };

/** The error of a job that failed. */
export function windowFailed(
  plan: LayerPlan,
  window: Window,
  { detail, clues }: JobEnd & { kind: 'failed' },
): LayerFailed {
  const { unreadable, operation } = clues;
  if (unreadable) {
    const side = unreadable.node.startsWith('source') ? 'source' : 'destination';
    const offset = window.offset + unreadable.offset;
    return new LayerFailed(plan, { side, offset, detail: unreadable.detail });
  }
  const side = operation === undefined ? undefined : operation === 'read' ? 'source' : 'destination';
  return new LayerFailed(plan, { side, offset: window.offset, detail });
}

/** The error for a command about a window that QEMU refused; every other error stays what it is. */
export function refusedBy(plan: LayerPlan, side: Side | undefined, window: Window, error: unknown): unknown {
  if (!(error instanceof QmpCommandError)) return error;
  const detail = error.description;
  const lock = /Failed to get (shared )?"/.exec(detail);
  // A reader that shares no writing is refused for a writer; a writer already for another writer's lock.
  if (lock) {
    const holder = side ?? (lock[1] === undefined ? 'destination' : 'source');
    return new LayerInUse(plan, holder, detail, { cause: error });
  }
  return new LayerFailed(plan, { side, offset: window.offset, detail }, { cause: error });
}
