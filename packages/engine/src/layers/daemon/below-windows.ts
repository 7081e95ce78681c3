// What is below the windows that a daemon reads, opened once for all of them.
import type { QmpClient } from '@blockferry/qemu';
import type { Layer } from '../layer.ts';
import type { Slot } from '../window-memory.ts';
import { type Access, belowKept, belowSource, IN_MEMORY, readingNodes } from '../window-trees.ts';
import { type OpenNodes, openAs, openNodes } from './open-nodes.ts';

/**
 * Sources, and files in memory: each open from its first window to the daemon's end. Of each node that is opened QEMU asks
 * once where there is data, and gives the memory of its buffers back to the kernel after it (malloc_trim, util/rcu.c), which
 * has to be zeroed when it is needed again.
 */
export class BelowWindows {
  readonly #qmp: QmpClient;
  readonly #newName: (role: string) => string;
  readonly #open = new Map<Layer | string, Promise<OpenNodes>>();

  constructor(qmp: QmpClient, newName: (role: string) => string) {
    this.#qmp = qmp;
    this.#newName = newName;
  }

  /**
   * Of the source, or of the slot where a window of it is kept. What could not be opened is tried again at the next call.
   * @throws QmpCommandError; QmpConnectionError when the daemon ends
   */
  open(layer: Layer, slot: Slot | undefined): Promise<OpenNodes> {
    const key = slot?.path ?? layer;
    let opening = this.#open.get(key);
    if (opening === undefined) {
      opening = slot ? this.#openKept(layer, slot) : this.#openSource(layer);
      this.#open.set(key, opening);
      opening.catch(() => this.#open.delete(key));
    }
    return opening;
  }

  #openSource(layer: Layer): Promise<OpenNodes> {
    const make = (name: string, access: Access) => readingNodes(name, belowSource(layer.plan, access));
    return openAs(this.#qmp, layer, { role: 'source', name: this.#newName('source'), make });
  }

  #openKept({ plan }: Layer, slot: Slot): Promise<OpenNodes> {
    const make = (name: string) => readingNodes(name, belowKept(slot));
    return openNodes(this.#qmp, { plan, name: this.#newName('kept'), make, access: IN_MEMORY });
  }
}
