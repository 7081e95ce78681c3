// Which window is copied next and which verified next, and when both have to wait for each other. No I/O.
import type { Layer } from './layer.ts';

export interface Task {
  readonly layer: Layer;
  readonly index: number;
  /** Found different before: it is copied a second and last time. */
  readonly again: boolean;
}

/** So many copied windows may wait to be verified; then the copying waits. */
const MAX_UNVERIFIED = 4;

/** The work of a copier and a verifier that run side by side. */
export class Backlog {
  readonly #toCopy: Task[];
  readonly #toVerify: Task[];
  /** Is what was copied to be verified too? */
  readonly verifies: boolean;
  /** Tasks that were handed out and are not done yet. */
  #underWay = 0;
  #wake = Promise.withResolvers<void>();

  /** @param layers in the order in which they are copied */
  constructor(layers: readonly Layer[], verify: boolean) {
    this.verifies = verify;
    const tasks = layers
      .filter((layer) => !layer.journal.finished)
      .flatMap((layer) =>
        Array.from({ length: layer.count }, (_, index) => ({ layer, index, again: false })),
      );
    this.#toCopy = tasks.filter(({ layer, index }) => !layer.journal.copied.has(index));
    this.#toVerify = verify
      ? tasks.filter(
          ({ layer, index }) => layer.journal.copied.has(index) && !layer.journal.verified.has(index),
        )
      : [];
  }

  /** Undefined when nothing is left to do for anybody. Waits while the verifier is behind. */
  async nextToCopy(): Promise<Task | undefined> {
    for (;;) {
      if (this.#toVerify.length < MAX_UNVERIFIED || !this.verifies) {
        const task = this.#take(this.#toCopy);
        if (task) return task;
      }
      if (this.#isEmpty) return undefined;
      await this.#wake.promise;
    }
  }

  /** Undefined when nothing is left to do for anybody. Waits while there is nothing to verify. */
  async nextToVerify(): Promise<Task | undefined> {
    for (;;) {
      const task = this.#take(this.#toVerify);
      if (task) return task;
      if (this.#isEmpty) return undefined;
      await this.#wake.promise;
    }
  }

  /** The window is copied and journaled. */
  copied(task: Task): void {
    if (this.verifies) this.#toVerify.push(task);
    this.#done();
  }

  verified(): void {
    this.#done();
  }

  /** The window differs: it comes before all others. */
  differs(task: Task): void {
    this.#toCopy.unshift({ ...task, again: true });
    this.#done();
  }

  get #isEmpty(): boolean {
    return this.#underWay === 0 && this.#toCopy.length === 0 && this.#toVerify.length === 0;
  }

  #take(tasks: Task[]): Task | undefined {
    const task = tasks.shift();
    if (task) {
      this.#underWay += 1;
      this.#wakeAll(); // there is room for another one
    }
    return task;
  }

  #done(): void {
    this.#underWay -= 1;
    this.#wakeAll();
  }

  #wakeAll(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}
