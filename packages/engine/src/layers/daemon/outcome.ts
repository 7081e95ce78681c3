// What QEMU says about a window, as the errors of a copy.
import { QmpCommandError } from '@blockferry/qemu';
import { LayerFailed, LayerInUse, type Side } from '../errors.ts';
import type { LayerPlan } from '../layer-plan.ts';
import type { Window } from '../windows.ts';
import type { JobEnd } from './block-job.ts';

/** The error of a copying job that failed. */
export function windowFailed(
  plan: LayerPlan,
  window: Window,
  { detail, operation }: JobEnd & { kind: 'failed' },
): LayerFailed {
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
