// libvirt says only "Copy failed": looks for the reason at the destination.
import type { MoveRecord } from '../model/record.ts';
import type { Context } from './context.ts';

const PROBE_MS = 3_000;
/** Less than this free is "full" for a copy that just failed: bytes. */
const FULL_BELOW = 1n << 20n;

export interface Diagnosis {
  readonly why: string;
  readonly full: boolean;
}

export async function diagnoseFailure(context: Context, move: MoveRecord): Promise<Diagnosis> {
  const other = (why: string): Diagnosis => ({ why, full: false });
  const failed = move.shorten === undefined ? 'the copy failed' : 'the block job failed';
  const { source } = move.destination;
  if (context.host === undefined) return other(failed);
  if (source.kind !== 'file' && source.kind !== 'block') {
    return other(`${failed}: the destination's server ended the connection or refused a write`);
  }
  const probe = await context.host.probeStorage(source.path, PROBE_MS);
  if (source.kind === 'file') {
    const space = await context.host.statfs(source.path).catch(() => undefined);
    if (space !== undefined && space.available < FULL_BELOW)
      return { why: `${failed}: the destination is full`, full: true };
  }
  return other(
    probe.ok ? `${failed}: the destination refused a write` : `${failed}: the destination: ${probe.detail}`,
  );
}
