// The file beside which a move's journals stand, where there is one.
import type { MoveRecord } from './record.ts';

/**
 * The destination, if it is a file. In layers onto a destination that is none (a device, an export), the carrier: beside
 * it the host that copies has the journals, whichever machine steers it.
 */
export function fileBeside({
  destination,
  layered,
}: Pick<MoveRecord, 'destination' | 'layered'>): string | undefined {
  if (destination.source.kind === 'file') return destination.source.path;
  return layered?.carrier.source.kind === 'file' ? layered.carrier.source.path : undefined;
}
