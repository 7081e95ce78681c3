// The block nodes through which one window of a layer is read and written, with nothing left for QEMU to guess.
import { type Blockdev, type Image, type JsonInput, type NodeOptions, toBlockdev } from '@blockferry/qemu';
import type { LayerPlan } from './layer-plan.ts';
import type { Slot } from './window-memory.ts';
import type { Window } from './windows.ts';

/** How files and devices are opened; see openNodes. */
export interface Access {
  readonly direct: boolean;
  readonly aio: 'native' | 'threads';
}

/**
 * Fastest first. Without direct I/O the page cache of the host fills, and reading back proves less. Not io_uring, though
 * it is as fast: with QEMU 7.2 one of fifty reads that end at the end of a file, inside a sector, was never answered
 * (seen here: it asks for the rest, and the answer to that is lost).
 */
export const ACCESSES: readonly [Access, ...Access[]] = [
  { direct: true, aio: 'native' },
  { direct: true, aio: 'threads' },
  { direct: false, aio: 'threads' },
];

/** Nodes in the order in which they are added; the last one is the window. */
export interface WindowNodes {
  readonly nodes: readonly [NodeOptions, ...NodeOptions[]];
  /** The one that has to be flushed for the window to be on stable storage; null where the host can do that. */
  readonly stable: NodeOptions | null;
}

/** What of a plan says how it is written. */
type Target = Pick<LayerPlan, 'how' | 'to' | 'compressed'>;
type Options = Readonly<Record<string, JsonInput | undefined>>;

/** Holes and zeroes of the source become holes. */
const UNMAP: Options = { discard: 'unmap', 'detect-zeroes': 'unmap' };
const READ_ONLY: Options = { 'read-only': true };

/**
 * A backup job writes zeroes without leave to unmap, which allocates them (ext4, RBD, thin volumes: block_copy_do_copy).
 * This filter answers that it cannot write zeroes efficiently below this size, so that they come as plain writes, in
 * which the node below finds the zeroes again, with leave to unmap.
 */
const PLAIN_ZEROES: Options = { driver: 'blkdebug', 'opt-write-zero': 1024 * 1024 * 1024 };

/** What is below the windows of the source, under QEMU's default locks: an active image is refused. */
export function belowSource(plan: LayerPlan, access: Access): Blockdev {
  return readingNode(plan.how === 'bytes' ? container(plan.from) : contentsOf(plan), access, {});
}

/**
 * What is below a window of the destination that is read back while the next one is written. Without locks: the writer is
 * ourselves, and what it writes lies outside of this window. QEMU takes the length of a file as it was when it was opened,
 * and this one grows: it is opened for each window.
 */
export function belowCopy(plan: LayerPlan, access: Access): Blockdev {
  const below = plan.how === 'bytes' ? container(plan.to) : toBlockdev(plan.to);
  return readingNode(below, access, { locking: 'off' });
}

/** What is nested inherits the cache mode and read-only. */
function readingNode(below: Blockdev, { direct, aio }: Access, options: Options): Blockdev {
  const tree = withFileOptions(below, { aio, ...options }) as Blockdev;
  return { ...tree, cache: { direct }, ...READ_ONLY };
}

/** A tree for reading, as a node. */
export function readingNodes(name: string, tree: Blockdev): WindowNodes {
  return { nodes: [{ ...tree, 'node-name': name }], stable: null };
}

/** A window, for reading, of an open node or of one that is opened for it. */
export function windowOf(below: string | Blockdev, window: Window, { direct }: Access): Blockdev {
  return { ...sliceOf(below, window), cache: { direct }, ...READ_ONLY };
}

/** Memory is written and read like a raw copy, but there is no storage below it to go past the page cache to. */
export const IN_MEMORY: Access = { direct: false, aio: 'threads' };

/** A window that is kept in memory, for being written there. */
export function keepingNodes({ path, window }: Slot, name: string): WindowNodes {
  return targetNodes({ how: 'bytes', to: rawFile(path) }, window, name, IN_MEMORY);
}

/** What is below the windows that are kept there, for reading. */
export function belowKept({ path }: Slot): Blockdev {
  return readingNode(container(rawFile(path)), IN_MEMORY, { locking: 'off' });
}

function rawFile(path: string): Image {
  return { location: { kind: 'file', path }, format: 'raw' };
}

/** Files and devices, when nothing of them is kept in QEMU's memory: fdatasync on the host brings all to the storage. */
export function isFlushedByHost({ how, to }: Target): boolean {
  const { kind } = to.location;
  return (kind === 'file' || kind === 'block') && (how === 'bytes' || to.format === 'raw');
}

/** Does the target take requests of some KiB, without larger clusters of its own? */
export function hasSmallClusters({ how, to }: LayerPlan): boolean {
  const { kind } = to.location;
  return (kind === 'file' || kind === 'block' || kind === 'nbd') && (how === 'bytes' || to.format === 'raw');
}

/** The window of the destination, for writing. */
export function targetNodes(plan: Target, window: Window, name: string, access: Access): WindowNodes {
  const { file, ...format } = plan.how === 'bytes' ? container(plan.to) : toBlockdev(plan.to);
  const isContainer = format.driver === 'raw';
  // What the host flushes, all windows at once, must not be flushed once more by the closing of each.
  const cache = { direct: access.direct, 'no-flush': isFlushedByHost(plan) };
  const [protocolName, formatName] = [`${name}-file`, `${name}-format`];
  const protocol = {
    ...(withFileOptions(file, { aio: access.aio }) as Blockdev),
    ...(isContainer ? UNMAP : { discard: 'unmap' }),
    'node-name': protocolName,
    cache,
  };
  if (!isContainer) {
    const stable = { ...format, ...UNMAP, 'node-name': formatName, file: protocolName, cache };
    if (plan.compressed !== true) {
      return { nodes: [protocol, stable, { ...windowNode(window, name, formatName), cache }], stable };
    }
    // A filter that has the format compress whatever is written through it (block/filter-compress.c).
    const compress = { driver: 'compress', 'node-name': `${name}-compress`, file: formatName, cache };
    const last = { ...windowNode(window, name, `${name}-compress`), cache };
    return { nodes: [protocol, stable, compress, last], stable };
  }
  const zeroes = { driver: 'blkdebug', ...PLAIN_ZEROES, 'node-name': `${name}-zeroes`, image: protocolName };
  const slice = { ...format, 'node-name': formatName, file: `${name}-zeroes`, cache };
  const last = { ...windowNode(window, name, formatName), cache };
  const nodes = [protocol, { ...zeroes, cache }, slice, last] as const;
  return { nodes, stable: isFlushedByHost(plan) ? null : protocol };
}

function windowNode(window: Window, name: string, file: string): NodeOptions {
  return { 'node-name': name, ...sliceOf(file, window) };
}

function sliceOf(file: string | Blockdev, { offset, nodeLength }: Window): Blockdev {
  return { driver: 'raw', offset, size: nodeLength, file };
}

/** A raw image's slice is its container; of any other format it is the whole file. */
function container({ location, format, ...slice }: Image): Blockdev {
  return toBlockdev({ location, format: 'raw', ...(format === 'raw' ? slice : {}) });
}

function contentsOf(plan: LayerPlan): Blockdev {
  const [top = plan.from, ...backing] = plan.chain;
  return toBlockdev(top, { backing });
}

/** Puts the options into every file and device of the tree. */
function withFileOptions(tree: JsonInput | undefined, options: Options): JsonInput | undefined {
  if (!isTree(tree)) return tree;
  const isFile = tree.driver === 'file' || tree.driver === 'host_device';
  const members = Object.entries(tree).map(([key, value]) => [key, withFileOptions(value, options)]);
  return { ...Object.fromEntries(members), ...(isFile ? options : {}) };
}

function isTree(value: JsonInput | undefined): value is Options {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
