// After a crash: windows that were written whole, and that no journal tells of, are found by comparing them.
import type { Host } from '@blockferry/qemu';
import { QuorumMissing, type WindowDaemon } from './daemon/window-daemon.ts';
import type { Layer } from './layer.ts';
import { flushOnHost } from './settle-windows.ts';
import { isFlushedByHost } from './window-trees.ts';
import { MOST_WINDOWS_AT_RISK, windowAt } from './windows.ts';

/** Those that an earlier run may have written and not journaled: windows are written in their order. */
export function atRisk(layer: Layer): readonly number[] {
  const { copied, finished } = layer.journal;
  const mayBeThere = layer.wasBegun && !finished && layer.mayOverlap && isFlushedByHost(layer.plan);
  if (!mayBeThere) return [];
  const missing: number[] = [];
  for (let index = 0; index < layer.count && missing.length < MOST_WINDOWS_AT_RISK; index++) {
    if (!copied.has(index)) missing.push(index);
  }
  return missing;
}

/**
 * Journals the windows of the layer that are there already, which need not be copied again: all but the one that was
 * being written, unless the host itself went down before they were flushed. Compared as they are read back from the
 * storage, after a flush, so that they count as verified too.
 *
 * @throws LayerFailed, LayerInUse, SourceChanged; QmpConnectionError when the daemon ends
 */
export async function journalWritten(
  host: Host,
  daemon: WindowDaemon,
  layer: Layer,
  signal: AbortSignal,
): Promise<void> {
  await flushOnHost(host, layer.plan, signal);
  for (const index of atRisk(layer)) {
    if (!(await isThere(daemon, layer, index))) return;
    await layer.markCopied([index]);
    await layer.markVerified(index);
  }
}

async function isThere(daemon: WindowDaemon, layer: Layer, index: number): Promise<boolean> {
  try {
    return await daemon.isSame(layer, windowAt(layer.journal.cut, index));
  } catch (error) {
    if (error instanceof QuorumMissing) return false;
    throw error;
  }
}
