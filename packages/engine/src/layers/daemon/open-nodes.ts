// Opening nodes in the fastest way that its storage knows, and closing them again.
import { type NodeOptions, type QmpClient, QmpCommandError } from '@blockferry/qemu';
import type { Layer } from '../layer.ts';
import { type LayerPlan, lockedImages } from '../layer-plan.ts';
import { ACCESSES, type Access, type WindowNodes } from '../window-trees.ts';

export type MakeNodes = (name: string, access: Access) => WindowNodes;

export interface OpenNodes extends AsyncDisposable {
  /** The node to read or write. */
  readonly name: string;
  readonly access: Access;
  /**
   * Brings what was written to stable storage, unless that is for the host to do.
   * @throws QmpCommandError when it could not be brought there
   */
  flush(): Promise<void>;
}

export interface OpenRequest {
  readonly plan: LayerPlan;
  /** Unique in the daemon. */
  readonly name: string;
  readonly make: MakeNodes;
  /** How it was opened the last time. */
  readonly access: Access | undefined;
}

/** For each image in LUKS, on a machine that is busy; and for all the rest. */
const OPENED_WITHIN_MS = 30_000;

/**
 * Tries each way of access until one works. Disposing closes the nodes; after a daemon's end it does nothing.
 *
 * @throws QmpCommandError of the first try; QmpConnectionError
 */
export async function openNodes(qmp: QmpClient, request: OpenRequest): Promise<OpenNodes> {
  const { plan, name, make } = request;
  const timeoutMs = OPENED_WITHIN_MS * (1 + lockedImages(plan).length);
  const ways = request.access ? [request.access] : ACCESSES;
  let failure: unknown;
  for (const access of ways) {
    const { nodes, stable } = make(name, access);
    try {
      await addAll(qmp, nodes, timeoutMs);
    } catch (error) {
      if (!(error instanceof QmpCommandError)) throw error;
      failure ??= error;
      continue;
    }
    return {
      name,
      access,
      flush: async () => {
        if (stable) await qmp.execute('blockdev-reopen', { options: [stable] });
      },
      [Symbol.asyncDispose]: () => removeAll(qmp, nodes).catch(() => {}),
    };
  }
  throw failure;
}

export type Role = 'source' | 'target' | 'copy';

interface RoleRequest {
  readonly role: Role;
  readonly name: string;
  readonly make: MakeNodes;
}

/**
 * Opens something of a layer in the way in which it was opened before, by whichever daemon.
 * @throws QmpCommandError of the first try; QmpConnectionError
 */
export async function openAs(
  qmp: QmpClient,
  layer: Layer,
  { role, ...rest }: RoleRequest,
): Promise<OpenNodes> {
  const { plan, access } = layer;
  const nodes = await openNodes(qmp, { plan, access: access.get(role), ...rest });
  access.set(role, nodes.access);
  return nodes;
}

async function addAll(qmp: QmpClient, nodes: readonly NodeOptions[], timeoutMs: number): Promise<void> {
  const added: NodeOptions[] = [];
  try {
    for (const node of nodes) {
      await qmp.execute('blockdev-add', node, { timeoutMs });
      added.push(node);
    }
  } catch (error) {
    await removeAll(qmp, added).catch(() => {});
    throw error;
  }
}

async function removeAll(qmp: QmpClient, nodes: readonly NodeOptions[]): Promise<void> {
  for (const node of nodes.toReversed()) {
    await qmp.execute('blockdev-del', { 'node-name': node['node-name'] });
  }
}
