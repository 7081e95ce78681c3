// The block jobs that carry the guest from image to image, each through libvirt.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DomainBlockCommitFlags,
  DomainBlockCopyFlags,
  DomainBlockJobAbortFlags,
  diskElement,
  ErrorCode,
  isLibvirtError,
  LibvirtError,
  sameSource,
} from '@blockferry/libvirt';
import { info } from '@blockferry/qemu';
import { definitionsOf } from '../../act/scene-domain.ts';
import { patiently } from '../../act/start-copy.ts';
import { messageOf } from '../../model/errors.ts';
import { LEGS, type Leg } from '../../model/layered-world.ts';
import { allLayers, topCopy } from '../../model/rounds.ts';
import type { Millis } from '../../model/units.ts';
import { backingToTell } from '../../storage/chain-refs.ts';
import { createPatiently } from '../../storage/create-patiently.ts';
import { toImage } from '../../storage/to-image.ts';
import { imageAt, imagesBelow, layeredPart } from '../image-at.ts';
import { keyedImage } from '../keys.ts';
import { claimFiles, filePath, hostOf } from './files.ts';
import type { LayeredScene } from './layered-scene.ts';
import { dropStrayNodes, meansStrayNodes } from './stray-nodes.ts';

/** A guest that hammers its disk may keep the job busy for a while after the order. */
const END_WITHIN_MS = 60_000;

/** As long as its server is away, QEMU tries to connect again after 1, 2, 4 up to 16 s (nbd/client-connection.c). */
const AGAIN_AFTER_MS: Millis = 1_000;

/**
 * Subclusters of 512 bytes, the least that a guest writes. libvirt gives the target of a shallow copy its backing file
 * only at the pivot (qemuDomainBlockJobPivot); until then a synchronous write that fills a cluster in part makes zeros of
 * the rest, which hide what the backing file has there (measured: lost writes with clusters of 64 KiB).
 */
const CARRIER = { cluster_size: 16_384, extended_l2: true };

/** Makes the carrier over the top copy, anew if there was one: a mirror may have left anything in it. */
export async function prepareCarrier(scene: LayeredScene): Promise<void> {
  const { move, memory, observation } = scene;
  const host = hostOf(scene);
  const { carrier, overlay } = layeredPart(move);
  const path = filePath(carrier);
  if (path !== undefined && observation.world.carrier === 'ours') await host.unlink(path);
  await claimFiles(scene, [carrier]);
  const { virtualSize } = await info(host, toImage(overlay), { timeoutMs: 30_000 });
  const backing = toImage(topCopy(layeredPart(move)));
  const options = { backing, overwrite: true, formatOptions: CARRIER } as const;
  await createPatiently(host, await keyedImage(scene, carrier), virtualSize, options);
  memory.layered.carrierFresh = true;
}

/**
 * virDomainBlockCopy onto the carrier, or virDomainBlockCommit of the active image. An answer that refuses it counts as
 * a job that failed; a connection that drops tells nothing, so the next look decides.
 */
export async function startLeg(scene: LayeredScene, leg: Leg): Promise<void> {
  const { memory } = scene;
  if (memory.layered.lastLeg !== leg) memory.starts = 0;
  else if (memory.witnessed === 'failed') await sleep(AGAIN_AFTER_MS);
  // Before the call: events may come ahead of its reply.
  memory.layered.lastLeg = leg;
  memory.witnessed = 'nothing';
  delete memory.failure;
  memory.destinationFull = false;
  memory.starts += 1;
  if (leg === 'switch') memory.layered.carrierFresh = false;
  try {
    await patiently(() => (leg === 'switch' ? startMirror(scene) : pastStrayNodes(scene, leg)));
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    memory.witnessed = 'failed';
    memory.failure = `libvirt refused the block job: ${messageOf(error)}`;
  }
}

/** Synchronous, so that any guest converges, and so that the carrier lacks no write of the overlay once it is ready. */
async function startMirror(scene: LayeredScene): Promise<void> {
  const { move } = scene;
  const { domain, persistent } = definitionsOf(scene);
  const { SHALLOW, REUSE_EXT, SYNCHRONOUS_WRITES, TRANSIENT_JOB } = DomainBlockCopyFlags;
  const flags = SHALLOW | REUSE_EXT | SYNCHRONOUS_WRITES | (persistent ? TRANSIENT_JOB : 0);
  const { carrier } = layeredPart(move);
  const backing = backingToTell(imagesBelow(move, carrier));
  await domain.blockCopy(move.disk, diskElement(carrier.source, carrier.format, { backing }), {}, flags);
}

async function pastStrayNodes(scene: LayeredScene, leg: Leg): Promise<void> {
  try {
    await startCommit(scene, leg);
  } catch (error) {
    if (!meansStrayNodes(error) || !(await dropStray(scene))) throw error;
    await startCommit(scene, leg);
  }
}

async function startCommit(scene: LayeredScene, leg: Leg): Promise<void> {
  const { move } = scene;
  const { domain, live } = definitionsOf(scene);
  const end = imageAt(move, LEGS[leg].to);
  const below = live?.disk(move.disk)?.chain.find(({ source }) => sameSource(source, end.source));
  // By its index where it is no file.
  const base = filePath(end) ?? (below?.index === undefined ? null : `${move.disk}[${below.index}]`);
  await domain.blockCommit(move.disk, { base }, 0n, DomainBlockCommitFlags.ACTIVE);
}

function dropStray(scene: LayeredScene): Promise<boolean> {
  const copies = allLayers(layeredPart(scene.move)).map(({ to }) => to);
  return dropStrayNodes(definitionsOf(scene).domain, copies);
}

/** Orders the switch. Its return proves nothing: the live definition does. Refusals that a second look resolves pass. */
export async function finishLeg(scene: LayeredScene): Promise<void> {
  const { domain } = definitionsOf(scene);
  try {
    await domain.blockJobAbort(scene.move.disk, DomainBlockJobAbortFlags.PIVOT, { timeoutMs: END_WITHIN_MS });
  } catch (error) {
    const lookAgain =
      isLibvirtError(error, ErrorCode.BLOCK_COPY_ACTIVE) || isLibvirtError(error, ErrorCode.INVALID_ARG);
    // Without them the next order is carried out.
    const freed = meansStrayNodes(error) && (await dropStray(scene));
    if (!lookAgain && !freed) throw error;
  }
}

/** Ends the job without a switch. */
export async function cancelLeg(scene: LayeredScene): Promise<void> {
  const { memory } = scene;
  const { domain } = definitionsOf(scene);
  const before = memory.witnessed;
  // Before the call: the event of our own cancel comes ahead of the reply, and is not somebody else's.
  memory.witnessed = 'canceled-by-us';
  try {
    await domain.blockJobAbort(scene.move.disk, 0, { timeoutMs: END_WITHIN_MS });
  } catch (error) {
    memory.witnessed = before;
    if (!isLibvirtError(error, ErrorCode.INVALID_ARG)) throw error;
  }
}
