// One layer while it is being copied: its journal in memory and on the host, always in that order of truth: what the
// host's says is done is on stable storage.
import { setTimeout as sleep } from 'node:timers/promises';
import { FileError, type Host, type Image } from '@blockferry/qemu';
import { SourceChanged } from './errors.ts';
import { differences, glance, type Identity, sourceIdentity } from './identity.ts';
import { type CopyJournal, writeCopyJournal } from './journal.ts';
import { type LayerPlan, placeOf } from './layer-plan.ts';
import type { Access } from './window-trees.ts';
import { windowCount } from './windows.ts';

const SPACE_RETRY_MS = 1_000;

export class Layer {
  readonly plan: LayerPlan;
  /** By an earlier run. */
  readonly wasBegun: boolean;
  readonly count: number;
  /** How its nodes were opened, by their role. */
  readonly access = new Map<string, Access>();
  readonly #host: Host;
  /** Nothing new is begun after it; what is being written then is cut off by `#cut`. */
  readonly #signal: AbortSignal;
  readonly #cut = new AbortController();
  /** Is told when the journal's storage is full, and when it has room again. */
  onSpace: (waits: boolean) => void = () => {};
  #journal: CopyJournal;
  /** The last writing of the journal, and the one that has not begun yet. */
  #writing: Promise<void> = Promise.resolve();
  #queued: Promise<void> | undefined;

  /** @param signal ends its waiting for space, and after it no journal is written */
  constructor(host: Host, plan: LayerPlan, journal: CopyJournal, wasBegun: boolean, signal: AbortSignal) {
    this.#host = host;
    this.#signal = signal;
    this.plan = plan;
    this.wasBegun = wasBegun;
    this.#journal = journal;
    this.count = windowCount(journal.cut);
  }

  /** A format has metadata, so only one may write it; windows of a container know nothing of each other. */
  get mayOverlap(): boolean {
    return this.plan.how === 'bytes' || this.plan.to.format === 'raw';
  }

  get journal(): CopyJournal {
    return this.#journal;
  }

  /** The windows are on stable storage. @throws SourceChanged, FileError, HostError */
  async markCopied(indexes: readonly number[]): Promise<void> {
    const images = imagesOf(this.plan);
    this.#mustBe(await Promise.all(images.map((image) => glance(this.#host, image, this.#signal))));
    for (const index of indexes) this.#journal.copied.add(index);
    await this.#write();
  }

  /** The window was read back and is equal. @throws FileError, HostError */
  async markVerified(index: number): Promise<void> {
    this.#journal.verified.add(index);
    await this.#write();
  }

  /** The window has to be copied again. @throws FileError, HostError */
  async markDiffering(index: number): Promise<void> {
    this.#journal.copied.delete(index);
    await this.#write();
  }

  /** The copy may be used. @throws FileError, HostError */
  async markFinished(): Promise<void> {
    this.#journal = { ...this.#journal, finished: true };
    await this.#write();
  }

  /** Has nobody written to the layer since the copy was begun? @throws SourceChanged, FileError, HostError */
  async checkSource(signal?: AbortSignal): Promise<void> {
    this.#mustBe(await readSources(this.#host, this.plan, signal));
  }

  #mustBe(now: readonly Identity[]): void {
    const found = sourceDifferences(this.#journal.sources, now);
    if (found.length > 0) throw new SourceChanged(this.plan, found);
  }

  /** To be called after the signal: when it returns, no journal is being written any more, in time or cut off. */
  async close(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.#cut.abort(), timeoutMs);
    await this.#writing.catch(() => {});
    clearTimeout(timer);
  }

  /** One at a time; whoever comes while one is being written shares the next. */
  #write(): Promise<void> {
    const write = () => {
      this.#queued = undefined;
      return this.#writeWithRoom();
    };
    if (this.#queued === undefined) {
      this.#queued = this.#writing.then(write, write);
      this.#writing = this.#queued;
    }
    return this.#queued;
  }

  /** A full destination is waited for, here as in the copying itself. */
  async #writeWithRoom(): Promise<void> {
    for (let waits = false; ; waits = true) {
      this.#signal.throwIfAborted();
      try {
        await writeCopyJournal(
          placeOf(this.#host, this.plan).host,
          this.plan.journal,
          this.#journal,
          this.#cut.signal,
        );
        if (waits) this.onSpace(false);
        return;
      } catch (error) {
        if (!isFull(error)) throw error;
      }
      this.onSpace(true);
      await sleep(SPACE_RETRY_MS, undefined, { signal: this.#signal });
    }
  }
}

function isFull(error: unknown): boolean {
  return error instanceof FileError && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

/** Everything that a copy of the layer is made of. @throws FileError, HostError */
export function readSources(host: Host, plan: LayerPlan, signal?: AbortSignal): Promise<Identity[]> {
  return Promise.all(imagesOf(plan).map((image) => sourceIdentity(host, image, signal)));
}

function imagesOf(plan: LayerPlan): readonly Image[] {
  return plan.how === 'bytes' ? [plan.from] : plan.chain;
}

export function sourceDifferences(then: readonly Identity[], now: readonly Identity[]): string[] {
  if (then.length !== now.length) return [`the chain had ${then.length} images, has ${now.length}`];
  return then.flatMap((identity, at) => differences('source', identity, now[at] ?? identity));
}
