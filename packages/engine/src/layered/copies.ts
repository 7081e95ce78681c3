// The copy of the frozen layers beside the loop: what is asked of the copier, and what its journals say.
import {
  copyJournalPath,
  copyState,
  LayerCopy,
  type LayerCopyState,
  type LayerPlan,
  type Link,
  noteLeft,
  relink,
} from '../layers/index.ts';
import { fileBeside } from '../model/beside.ts';
import type { LayeredWorld } from '../model/layered-world.ts';
import type { Layer, MoveRecord } from '../model/record.ts';
import { allLayers } from '../model/rounds.ts';
import type { Bytes } from '../model/units.ts';
import type { Memory } from '../observe/memory.ts';
import type { Context } from '../run/context.ts';
import { readMoveChain } from '../storage/move-chain.ts';
import { toOpenableImage } from '../storage/tls-credentials.ts';
import { toImage } from '../storage/to-image.ts';
import { filePath, hostOf } from './act/files.ts';
import type { LayeredScene } from './act/layered-scene.ts';
import { type Felt, inBackground } from './background.ts';
import { basesOf, mustBeAsLeft } from './bases.ts';
import { carryBitmaps } from './bitmaps.ts';
import { layeredPart } from './image-at.ts';
import { keyedImage, keyedPlan } from './keys.ts';
import { hasRoomFor } from './room.ts';

/** The journals of the copies, whether they are there or not. */
export function copyJournals(move: MoveRecord): string[] {
  return allLayers(layeredPart(move)).map((layer) => journalOf(layer, move));
}

/** Beside the copy; of one that is no file, beside the carrier. */
function journalOf({ to }: Pick<Layer, 'to'>, move: Anchored): string {
  const path = filePath(to) ?? fileBeside(move);
  if (path === undefined) throw new Error('a carrier is a file');
  return copyJournalPath(path);
}

type Anchored = Parameters<typeof fileBeside>[0];

/** What the journals say of all copies together; nothing while a copy runs, which knows better. */
export async function copiesState(
  context: Context,
  move: MoveRecord,
  memory: Memory,
): Promise<LayeredWorld['copies']> {
  const { host } = context;
  if (host === undefined || memory.layered.copy?.state() === 'running') return 'partial';
  const { verify } = layeredPart(move);
  const states = await Promise.all(
    allLayers(layeredPart(move)).map(async (layer) =>
      copyState(host, await planFor({ context, move }, layer)),
    ),
  );
  if (states.some(({ kind }) => kind === 'foreign')) return 'stale';
  return states.every((state) => isComplete(state, verify)) ? 'complete' : 'partial';
}

export interface LayersStatus {
  readonly copied: Bytes;
  readonly verified: Bytes;
  /** Undefined until each copy has begun. */
  readonly total: Bytes | undefined;
}

/** How far the copies are by their journals. */
export async function journaledProgress(
  { host }: Context,
  move: MoveRecord,
): Promise<LayersStatus | undefined> {
  if (host === undefined) return undefined;
  const states = await Promise.all(
    allLayers(layeredPart(move)).map(async (layer) =>
      copyState(host, await planFor({ context: { host }, move }, layer)),
    ),
  );
  const sum = (bytes: (state: LayerCopyState) => bigint) =>
    states.reduce((total, state) => total + bytes(state), 0n);
  const begun = states.every(({ kind }) => kind === 'partial' || kind === 'complete');
  return {
    copied: sum((state) => (state.kind === 'partial' ? state.copied : totalOf(state))),
    verified: sum((state) => {
      if (state.kind === 'complete') return state.verified ? state.total : 0n;
      return state.kind === 'partial' ? state.verified : 0n;
    }),
    total: begun ? sum(totalOf) : undefined,
  };
}

function totalOf(state: LayerCopyState): bigint {
  return state.kind === 'partial' || state.kind === 'complete' ? state.total : 0n;
}

function isComplete(state: LayerCopyState, verify: boolean): boolean {
  return state.kind === 'complete' && (state.verified || !verify);
}

/** Enough to find its journal. */
export function bare(layer: Layer, move: Anchored): LayerPlan {
  const { from, to, how, compressed } = layer;
  const journal = journalOf(layer, move);
  const plan = { from: toImage(from), to: toImage(to), how, chain: [toImage(from)], journal };
  return compressed === undefined ? plan : { ...plan, compressed };
}

async function planFor(
  { context, move }: { readonly context: Pick<Context, 'host'>; readonly move: MoveRecord },
  layer: Layer,
): Promise<LayerPlan> {
  const plan = bare(layer, move);
  if (layer.how === 'bytes') return plan;
  const host = hostOf({ context });
  const chain = await readMoveChain(host, move, plan.from);
  return { ...plan, to: await toOpenableImage(host, layer.to), chain: chain.map(({ image }) => image) };
}

/** Begins to copy what is not copied yet, base first. Returns as soon as it has begun; its end rings the loop's bell. */
export async function copyLayers(scene: LayeredScene): Promise<void> {
  const { move, memory } = scene;
  const { verify } = layeredPart(move);
  const planned = new Map<LayerPlan, Layer>();
  for (const layer of allLayers(layeredPart(move)).toReversed()) {
    planned.set(await keyedPlan(scene, await planFor(scene, layer)), layer);
  }
  const host = hostOf(scene);
  const hasRoom = () => hasRoomFor(host, move, 0n);
  const follower = scene.context.follow?.((plan) => planned.get(plan));
  const options = { verify, moveId: move.id, hasRoom, ...(follower && { follower }) };
  const copy = new LayerCopy(host, [...planned.keys()], options);
  const before = memory.layered.copy?.state();
  if (typeof before === 'object') scene.warn('host-away', `${before.failed}; going on where it was`);
  if (memory.layered.copy !== undefined)
    memory.layered.earlier = [...memory.layered.earlier, memory.layered.copy];
  memory.layered.copy = inBackground(copy, feltBy(scene), (rate) => {
    memory.layered.rate = rate;
  });
}

/** Disks that move together are copied one after the other, and each copy is felt on all of them (no name: their sum). */
function feltBy({ context, move }: LayeredScene): Felt {
  const { guard } = layeredPart(move);
  return {
    link: context.link,
    uuid: move.domain.uuid,
    disk: move.group === undefined ? move.disk : '',
    ...(guard !== undefined && { guard }),
    ...(move.options.bandwidth !== undefined && { bandwidth: move.options.bandwidth }),
  };
}

/** The copies are others from now on. */
export function forgetCopies({ memory }: LayeredScene): void {
  memory.layered.relinked = false;
  memory.layered.carrierFresh = false;
}

export async function stopCopying({ memory }: LayeredScene): Promise<void> {
  await memory.layered.copy?.stop();
  delete memory.layered.copy;
}

/**
 * Writes each copy's backing link, where it is not there yet, and sees to its bitmaps. From then on the bases are what
 * others may stand on. May be repeated.
 *
 * @throws StepFailed when a base that is linked to has changed
 */
export async function relinkCopies(scene: LayeredScene): Promise<void> {
  const links: Link[] = [];
  for (const { to, how, backing } of allLayers(layeredPart(scene.move))) {
    // Made by the copier, which gave it none.
    if (how === 'contents') continue;
    const image = await keyedImage(scene, to);
    const { reference, format } = backing ?? {};
    const isBase = reference === undefined || format === undefined;
    links.push({ image, backing: isBase ? null : { image: { ...image, format }, reference } });
  }
  const host = hostOf(scene);
  await mustBeAsLeft(host, scene.move);
  await relink(host, links);
  await carryBitmaps(scene);
  for (const layer of basesOf(scene.move)) await noteLeft(host, bare(layer, scene.move));
  scene.memory.layered.relinked = true;
}
