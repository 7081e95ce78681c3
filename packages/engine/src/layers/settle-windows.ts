// What becomes of a window once it is written: flushed, journaled, closed, while the next ones are being written.

import type { Host } from '@blockferry/qemu';
import type { Backlog, Task } from './backlog.ts';
import type { WindowCopy } from './daemon/window-daemon.ts';
import { LayerFailed } from './errors.ts';
import type { Layer } from './layer.ts';
import type { LayerPlan } from './layer-plan.ts';
import { isFlushedByHost } from './window-trees.ts';
import { MOST_WINDOWS_AT_RISK } from './windows.ts';

/** A window that is open. */
export interface Opened {
  readonly task: Task;
  readonly window: WindowCopy;
}

interface Settling {
  readonly host: Host;
  readonly signal: AbortSignal;
  readonly backlog: Backlog;
  /** Finishes a layer if all of it is done. */
  settle(layer: Layer): Promise<void>;
}

/** Settles windows in the order in which they come; those that came while it was busy, all at once. */
export class Settler {
  readonly #work: Settling;
  #waiting: Opened[] = [];
  #atRisk = 0;
  #busy: Promise<void> = Promise.resolve();
  #isBusy = false;
  readonly #failure = Promise.withResolvers<never>();

  constructor(work: Settling) {
    this.#work = work;
    this.#failure.promise.catch(() => {});
  }

  /** Never resolves; rejects when a window could not be settled. */
  get failed(): Promise<never> {
    return this.#failure.promise;
  }

  add(opened: Opened): void {
    this.#waiting.push(opened);
    this.#atRisk += 1;
    if (!this.#isBusy) this.#next();
  }

  /** Waits until another window may be written. @throws what settling threw */
  async room(): Promise<void> {
    while (this.#atRisk >= MOST_WINDOWS_AT_RISK) await Promise.race([this.failed, this.#busy]);
  }

  /** Waits until all are settled. @throws what settling threw */
  async done(): Promise<void> {
    while (this.#atRisk > 0) await Promise.race([this.failed, this.#busy]);
  }

  #next(): void {
    const layer = this.#waiting[0]?.task.layer;
    this.#isBusy = layer !== undefined;
    if (layer === undefined) return;
    const batch = this.#waiting.filter(({ task }) => task.layer === layer);
    this.#waiting = this.#waiting.filter(({ task }) => task.layer !== layer);
    this.#busy = this.#settle(layer, batch).then(() => {
      this.#atRisk -= batch.length;
      this.#next();
    }, this.#failure.reject);
  }

  async #settle(layer: Layer, batch: readonly Opened[]): Promise<void> {
    const { backlog, settle } = this.#work;
    if (isFlushedByHost(layer.plan)) await flushOnHost(this.#work.host, layer.plan, this.#work.signal);
    else for (const { window } of batch) await window.flush();
    await layer.markCopied(batch.map(({ task }) => task.index));
    for (const { window } of batch) await window.close();
    if (!backlog.verifies) await settle(layer);
    for (const { task } of batch) backlog.copied(task);
  }
}

/**
 * Brings everything that was written to stable storage. However long the storage takes: a hang is for others to notice.
 * @throws LayerFailed, HostError
 */
export async function flushOnHost(host: Host, plan: LayerPlan, signal: AbortSignal): Promise<void> {
  const { location } = plan.to;
  if (location.kind !== 'file' && location.kind !== 'block') return;
  const { code, stderr } = await host.run(['sync', '-d', '--', location.path], {
    timeoutMs: Infinity,
    signal,
  });
  if (code === 0) return;
  throw new LayerFailed(plan, { side: 'destination', offset: undefined, detail: stderr.trim() });
}
