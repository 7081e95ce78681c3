// How far a copy is, in bytes.
import type { Task } from './backlog.ts';
import type { JobWatch } from './daemon/block-job.ts';
import type { Layer } from './layer.ts';
import type { LayerPlan } from './layer-plan.ts';
import { windowAt } from './windows.ts';

export type CopyState =
  | 'starting'
  | 'copying'
  /** Paused before the destination is full. */
  | 'short-of-space'
  /** It is full. */
  | 'waiting-for-space'
  | 'ended';

/** All in bytes. */
export interface CopyProgress {
  readonly state: CopyState;
  readonly total: bigint;
  /** Copied by earlier runs. */
  readonly copiedBefore: bigint;
  /** Copied by this run, the window that is under way included. */
  readonly copiedNow: bigint;
  /** Of the first window, read into memory by this run: nothing is copied before that. */
  readonly readFirst: bigint;
  /** Read back and found equal, by this run or earlier ones. */
  readonly verified: bigint;
  /** The same, with what was read of the windows that are under way; undefined: nothing is read back. */
  readonly readBack: bigint | undefined;
  /** Written by this run: more than copiedNow if windows had to be copied again. */
  readonly written: bigint;
  /** The layer that is being copied. */
  readonly layer: LayerPlan | undefined;
}

export class Progress {
  #layers: readonly Layer[] = [];
  #state: CopyState = 'starting';
  #isShort = false;
  #copiedBefore = 0n;
  #copiedNow = 0n;
  #readFirst = 0n;
  #written = 0n;
  /** Of the window that is under way. */
  #underWay = 0n;
  #task: Task | undefined;
  readonly #readsBack: boolean;
  /** Of each window that is read back and not journaled as verified yet. */
  readonly #compared = new Map<Task, bigint>();

  constructor(readsBack: boolean) {
    this.#readsBack = readsBack;
  }

  begin(layers: readonly Layer[]): void {
    this.#layers = layers;
    this.#state = 'copying';
    this.#isShort = false;
    this.#copiedNow = 0n;
    this.#readFirst = 0n;
    this.#written = 0n;
    for (const layer of layers) layer.onSpace = (waits) => this.#waitsForSpace(waits);
    this.#copiedBefore = this.#sum(({ journal }) => journal.copied.bytes(journal.cut));
  }

  end(): void {
    this.#state = 'ended';
    this.#underWay = 0n;
    this.#task = undefined;
    this.#compared.clear();
  }

  /** Watches the reading of one window into memory. */
  watchRead(): JobWatch {
    const isFirst = this.#copiedNow === 0n && this.#task === undefined;
    return {
      progress: (bytes) => {
        if (isFirst) this.#readFirst = bytes;
      },
      waitsForSpace: () => {},
    };
  }

  /** Watches the copying of one window. */
  watchCopy(task: Task): JobWatch {
    this.#task = task;
    return {
      progress: (bytes) => {
        this.#underWay = bytes;
      },
      waitsForSpace: (waits) => this.#waitsForSpace(waits),
    };
  }

  /** Watches the reading back of one window. */
  watchCompare(task: Task): JobWatch {
    return {
      progress: (bytes) => {
        this.#compared.set(task, bytes);
      },
      waitsForSpace: () => {},
    };
  }

  /** It was read back, and its journal is written next. */
  windowCompared(task: Task): void {
    this.#compared.set(task, lengthOf(task));
  }

  /** Its journal says how it was. */
  windowNoted(task: Task): void {
    this.#compared.delete(task);
  }

  windowWritten(task: Task): void {
    const length = lengthOf(task);
    this.#written += length;
    if (!task.again) this.#copiedNow += length;
    this.#underWay = 0n;
    this.#task = undefined;
  }

  now(): CopyProgress {
    const verified = this.#sum(({ journal }) => journal.verified.bytes(journal.cut));
    return {
      state: this.#state === 'copying' && this.#isShort ? 'short-of-space' : this.#state,
      total: this.#sum(({ journal }) => journal.cut.total),
      copiedBefore: this.#copiedBefore,
      copiedNow: this.#copiedNow + (this.#task?.again ? 0n : this.#underWay),
      readFirst: this.#readFirst,
      verified,
      readBack: this.#readsBack ? verified + this.#underComparison() : undefined,
      written: this.#written + this.#underWay,
      layer: this.#task?.layer.plan,
    };
  }

  /** Nearly full; once it was full, that is the word until the copy goes on. */
  shortOfSpace(waits: boolean): void {
    this.#isShort = waits;
  }

  #underComparison(): bigint {
    let sum = 0n;
    for (const [{ layer, index }, bytes] of this.#compared) {
      if (!layer.journal.verified.has(index)) sum += bytes;
    }
    return sum;
  }

  #waitsForSpace(waits: boolean): void {
    this.#state = waits ? 'waiting-for-space' : 'copying';
  }

  #sum(bytes: (layer: Layer) => bigint): bigint {
    return this.#layers.reduce((sum, layer) => sum + bytes(layer), 0n);
  }
}

function lengthOf({ layer, index }: Task): bigint {
  return windowAt(layer.journal.cut, index).length;
}
