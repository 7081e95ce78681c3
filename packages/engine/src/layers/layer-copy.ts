// Copies frozen layers, window by window, while a second daemon verifies what the first one has written.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Host, QmpConnectionError } from '@blockferry/qemu';
import { Backlog } from './backlog.ts';
import type { CopyFollower } from './copy-follower.ts';
import { copyWindows } from './copy-windows.ts';
import { WindowDaemon } from './daemon/window-daemon.ts';
import { CopierDied } from './errors.ts';
import type { Layer } from './layer.ts';
import { type LayerPlan, lockedImages } from './layer-plan.ts';
import { finishDestination, openLayer } from './open-layer.ts';
import { type CopyProgress, Progress } from './progress.ts';
import { Room } from './room.ts';
import { verifyWindows } from './verify-windows.ts';
import { WindowMemory } from './window-memory.ts';
import { DEFAULT_WINDOW_BYTES, LOCKED_WINDOW_BYTES } from './windows.ts';
import { atRisk, journalWritten } from './written-before.ts';

export interface LayerCopyOptions {
  /**
   * Bytes; a multiple of 4096. Default 128 MiB, or 4 GiB where each window costs the deriving of keys. A copy that is gone
   * on with keeps its own.
   */
  readonly windowBytes?: bigint;
  /** Read every window back from the storage and compare it with the source. */
  readonly verify: boolean;
  /** Whose copy it is, for the journal. */
  readonly moveId: string;
  /** Is there room at the destination for more? While there is none, nothing is copied. Default: not asked. */
  readonly hasRoom?: () => Promise<boolean>;
  /** Somebody to whom each window is shown when it is read. */
  readonly follower?: CopyFollower;
  /** Makes the way to copies on another machine, once their files are there; it is closed at the end. */
  readonly lead?: (plans: readonly LayerPlan[], signal: AbortSignal) => Promise<AsyncDisposable>;
}

/** An aborted run ends within a second, also when storage hangs; any other one gives the daemons time to close. */
const ABORT_MS = 300;
const STOP_MS = 3_000;
/** For a daemon that has ended to be known to have. */
const LAST_WORDS_MS = 1_000;

/**
 * The copies of some layers. `run` may be called again, by anybody, after any failure or crash: what a journal counts
 * as copied or verified is not done again; of the rest, only the window that was being written is copied twice, unless the
 * host itself went down: then at most MOST_WINDOWS_AT_RISK.
 */
export class LayerCopy {
  readonly #host: Host;
  readonly #plans: readonly LayerPlan[];
  readonly #options: LayerCopyOptions;
  readonly #progress: Progress;
  readonly #daemons = new Set<WindowDaemon>();
  #speed = 0n;

  /** @param plans in the order in which they are copied: the base first */
  constructor(host: Host, plans: readonly LayerPlan[], options: LayerCopyOptions) {
    this.#host = host;
    this.#plans = plans;
    this.#options = options;
    this.#progress = new Progress(options.verify);
  }

  /**
   * Copies what the journals do not have yet, until all is copied (and verified) and on stable storage.
   *
   * A destination that is full, or nearly so by `hasRoom`, does not fail it: it waits (see progress) and goes on when there
   * is room.
   * @throws JournalForeign, SourceChanged, LayerInUse, LayerFailed, LayerDiffers; CopierDied when a daemon or the
   * connection ended; the signal's reason; HostError, FileError, QemuImgError, StorageDaemonError
   */
  async run(signal: AbortSignal): Promise<void> {
    const ending = new AbortController();
    const both = AbortSignal.any([signal, ending.signal]);
    const layers = await this.#openAll(both);
    this.#progress.begin(layers);
    if (layers.every(({ journal }) => journal.finished)) return;
    const { promise: aborted, reject: abort } = Promise.withResolvers<never>();
    // It may come while nobody waits for it yet.
    aborted.catch(() => {});
    const onAbort = () => abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    let way: AsyncDisposable | undefined;
    try {
      signal.throwIfAborted();
      const unfinished = layers.filter(({ journal }) => !journal.finished).map(({ plan }) => plan);
      way = await this.#options.lead?.(unfinished, both);
      await Promise.race([aborted, this.#copyAll(layers, both)]);
    } catch (error) {
      throw error instanceof QmpConnectionError ? await this.#died(error) : error;
    } finally {
      signal.removeEventListener('abort', onAbort);
      ending.abort();
      await Promise.all([
        this.#stop(signal.aborted ? ABORT_MS : STOP_MS),
        ...layers.map((layer) => layer.close(2 * ABORT_MS)),
      ]);
      await way?.[Symbol.asyncDispose]();
      this.#progress.end();
    }
  }

  /** For what runs and all that follows, reading back included. Bytes a second; 0n for unlimited. */
  async setSpeed(bytesPerSecond: bigint): Promise<void> {
    this.#speed = bytesPerSecond;
    // A daemon that ends meanwhile fails the run, not this.
    await Promise.allSettled([...this.#daemons].map((daemon) => daemon.setSpeed(bytesPerSecond)));
  }

  progress(): CopyProgress {
    return this.#progress.now();
  }

  /** Side by side, and none is under way any more when one fails. */
  async #openAll(signal: AbortSignal): Promise<readonly Layer[]> {
    const { moveId } = this.#options;
    const open = (plan: LayerPlan) => {
      const ours = lockedImages(plan).length > 0 ? LOCKED_WINDOW_BYTES : DEFAULT_WINDOW_BYTES;
      const windowBytes = this.#options.windowBytes ?? ours;
      return openLayer(this.#host, plan, { moveId, windowBytes }, signal);
    };
    const opened = await Promise.allSettled(this.#plans.map(open));
    return opened.map((one) => {
      if (one.status === 'rejected') throw one.reason;
      return one.value;
    });
  }

  async #copyAll(layers: readonly Layer[], signal: AbortSignal): Promise<void> {
    const { verify, hasRoom, follower } = this.#options;
    const onWait = (waits: boolean) => this.#progress.shortOfSpace(waits);
    await this.#journalWritten(layers, signal);
    const backlog = new Backlog(layers, verify);
    const followed = new Set(layers.filter((layer) => this.#isFollowed(layer)));
    const isReadTwice = verify || followed.size > 0;
    // Two, for a daemon that hands writes to a file that grows to the kernel does nothing else meanwhile.
    const [taken, writer, reader] = await Promise.all([
      isReadTwice ? WindowMemory.take(this.#host, layers, signal) : undefined,
      this.#start(signal),
      isReadTwice ? this.#start(signal) : undefined,
    ]);
    await using memory = taken;
    const work = {
      host: this.#host,
      signal,
      backlog,
      speed: () => this.#speed,
      progress: this.#progress,
      memory,
      follower,
      followed,
      shown: new Set<Promise<void>>(),
      room: hasRoom && new Room({ hasRoom, signal, onWait }),
      writer,
      reader,
      settle: (layer: Layer) => this.#settle(layer, signal),
    };
    await Promise.all([copyWindows(work), verify && reader ? verifyWindows(work, reader) : undefined]);
    // Who follows may be behind, and what is not kept he reads from the layers, which may change as soon as this is over.
    await Promise.all(work.shown);
    await memory?.unused();
    // Layers of no length, and those whose last step a crash cut off.
    for (const layer of layers) await this.#settle(layer, signal);
  }

  #isFollowed({ plan, journal: { cut, finished }, wasBegun }: Layer): boolean {
    const layer = { total: cut.total, isContinued: wasBegun };
    return !finished && this.#options.follower?.follows(plan, layer) === true;
  }

  async #journalWritten(layers: readonly Layer[], signal: AbortSignal): Promise<void> {
    const begun = layers.filter((layer) => atRisk(layer).length > 0);
    if (begun.length === 0) return;
    const daemon = await this.#start(signal);
    for (const layer of begun) await journalWritten(this.#host, daemon, layer, signal);
    this.#daemons.delete(daemon);
    await daemon.stop(STOP_MS);
    this.#progress.begin(layers);
  }

  /** Finishes the layer if all of it is done. */
  async #settle(layer: Layer, signal: AbortSignal): Promise<void> {
    const { copied, verified, finished } = layer.journal;
    const done = this.#options.verify ? verified : copied;
    if (finished || done.size < layer.count) return;
    await finishDestination(this.#host, layer, signal);
    await layer.checkSource(signal);
    await layer.markFinished();
    this.#options.follower?.finished(layer.plan);
  }

  async #start(signal: AbortSignal): Promise<WindowDaemon> {
    const images = this.#plans.flatMap(({ to, chain, from }) => [from, to, ...chain]);
    const daemon = await WindowDaemon.start(this.#host, this.#speed, images, signal);
    if (signal.aborted) await daemon.stop(ABORT_MS);
    signal.throwIfAborted();
    this.#daemons.add(daemon);
    await daemon.setSpeed(this.#speed); // it may have been changed meanwhile
    return daemon;
  }

  async #stop(timeoutMs: number): Promise<void> {
    const daemons = [...this.#daemons];
    this.#daemons.clear();
    await Promise.all(daemons.map((daemon) => daemon.stop(timeoutMs)));
  }

  /** One that lives does not say how it ended. */
  async #died(error: QmpConnectionError): Promise<CopierDied> {
    const daemons = [...this.#daemons];
    const words = daemons.map((daemon) => daemon.lastWords()).filter((text) => text !== '');
    const lost = await Promise.all(
      daemons.map((daemon) => Promise.race([daemon.isHostLost(), sleep(LAST_WORDS_MS, false)])),
    );
    return new CopierDied([error.message, ...words].join(': '), lost.includes(true), { cause: error });
  }
}
