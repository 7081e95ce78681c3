// Puts the guest on the overlay; from then on the images below it do not change.
import { DomainSnapshotCreateFlags, sourceElement } from '@blockferry/libvirt';
import { info } from '@blockferry/qemu';
import { claimRbdImage } from '../../act/claim-rbd-image.ts';
import { record } from '../../act/record.ts';
import { definitionsOf } from '../../act/scene-domain.ts';
import { type ImageRef, type MoveRecord, newest } from '../../model/record.ts';
import { allLayers, freezingOf } from '../../model/rounds.ts';
import { lookAtRbdImage } from '../../observe/destination.ts';
import { readMetadata } from '../../record/metadata.ts';
import { createPatiently } from '../../storage/create-patiently.ts';
import { toImage } from '../../storage/to-image.ts';
import { writeOut } from '../../storage/write-out.ts';
import { bitmapsOntoOverlay } from '../bitmaps.ts';
import { claimOf } from '../claims.ts';
import { layeredPart } from '../image-at.ts';
import { keyedImage } from '../keys.ts';
import { defineAll } from './define-on.ts';
import { claimFiles, filePath, hostOf } from './files.ts';
import type { LayeredScene } from './layered-scene.ts';
import { mayQuiesce, quiescing } from './quiesce.ts';

/**
 * Takes the names of the overlay and of all copies, and makes the overlay over the image that the guest is on: anew if
 * it is there, for it may have been the guest's for a while (see ontoOverlay).
 */
export async function claimAll(scene: LayeredScene): Promise<void> {
  const { move, memory, observation } = scene;
  const { world } = observation;
  const wanted = isFrozen(scene) ? [] : [freezingOf(move).ahead];
  for (const path of wanted.map(filePath)) {
    if (path !== undefined && isMade(scene, path)) await hostOf(scene).unlink(path);
  }
  // First, for it writes the record to a journal as it was seen, without the files.
  await claimImage(scene);
  const copies = world.copyFiles === 'ours' ? [] : allLayers(layeredPart(move)).map(({ to }) => to);
  const files = await claimFiles(scene, [...wanted, ...(await notMade(scene, copies))]);
  if (wanted.length === 0) return;
  await makeOverlay(scene);
  // By its mark in the live record, another QEMU is known not to be the one that the overlay was made for.
  if (observation.definitions?.running && !observation.sameInstance) {
    const journal = { ...observation.journal, record: move, files };
    await record({ ...scene, observation: { ...observation, journal } });
  }
  memory.layered.overlayFresh = true;
}

/** The RBD image that the disk goes to, unless it is there: the record says that it is ours (see actLayered). */
async function claimImage(scene: LayeredScene): Promise<void> {
  const { context, move, memory } = scene;
  const { ownership } = move;
  if (ownership.kind !== 'rbd-image' || !ownership.claimed || memory.layered.imageSeen) return;
  if ((await lookAtRbdImage(context, move, ownership, memory)) !== 'absent') return;
  await claimRbdImage(scene, ownership);
}

/** Is the guest where the record wants it? */
function isFrozen({ move, observation }: LayeredScene): boolean {
  const { live, config, domain, onNext } = observation.world;
  const place = domain === 'running' ? live : config;
  return place !== 'origin' && (layeredPart(move).next === undefined || onNext);
}

/** Claimed before, by this move. */
function isMade({ observation }: LayeredScene, path: string | undefined): boolean {
  return path !== undefined && observation.journal?.files?.[path] !== undefined;
}

/** Those that nobody made yet, or that are gone: `qemu-img create` removes the file if its storage fails. */
async function notMade(
  { context, observation }: LayeredScene,
  images: readonly ImageRef[],
): Promise<ImageRef[]> {
  const claims = await Promise.all(images.map((image) => claimOf(context, image, observation.journal)));
  return images.filter((_, at) => claims[at] !== 'ours');
}

async function makeOverlay(scene: LayeredScene): Promise<void> {
  const host = hostOf(scene);
  const backing = toImage(freezingOf(scene.move).below);
  // As large as the disk is by now: it may have been resized since the first round.
  const { virtualSize } = await info(host, backing, { timeoutMs: 30_000 });
  const overlay = await keyedImage(scene, freezingOf(scene.move).ahead);
  await createPatiently(host, overlay, virtualSize, { backing, overwrite: true });
}

/**
 * An external snapshot without metadata onto the overlay that is there (virDomainSnapshotCreateXML with DISK_ONLY,
 * REUSE_EXT, ATOMIC, NO_METADATA): libvirt puts it into the live and the persistent definition. A domain that is off is
 * defined on it instead. Disks that move as one are frozen in one snapshot, at one instant. A crash leaves the guest on
 * one of the two; both are complete. For a copy, the guest's file systems are frozen meanwhile (see quiesce.ts).
 */
export async function freeze(scene: LayeredScene): Promise<void> {
  const { memory } = scene;
  const { domain, running, live } = definitionsOf(scene);
  memory.layered.overlayFresh = false;
  const moves = together(scene);
  if (!running) {
    for (const move of moves) {
      if (layeredPart(move).next === undefined) await bitmapsOntoOverlay({ ...scene, move });
    }
    return defineAll(
      scene,
      moves.map((move) => ({ move, image: freezingOf(move).ahead })),
    );
  }
  const frozen = moves.map(({ disk }) => disk);
  const others = live?.disks().filter(({ target }) => !frozen.includes(target)) ?? [];
  const xml = snapshotXml(
    moves,
    others.map(({ target }) => target),
  );
  const { DISK_ONLY, REUSE_EXT, ATOMIC, NO_METADATA, QUIESCE } = DomainSnapshotCreateFlags;
  const flags = DISK_ONLY | REUSE_EXT | ATOMIC | NO_METADATA;
  await writeOut(
    hostOf(scene),
    moves.map((move) => freezingOf(move).below.source),
  );
  const began = performance.now();
  if (mayQuiesce(scene))
    await quiescing(scene, () => domain.snapshotCreateXml(xml, flags | QUIESCE).then(() => {}));
  else await domain.snapshotCreateXml(xml, flags);
  memory.layered.freezeMs = Math.max(memory.layered.freezeMs ?? 0, performance.now() - began);
}

/** This move and those of its group that are to be frozen as well, by their records in the domain. */
function together(scene: LayeredScene): readonly MoveRecord[] {
  const { move } = scene;
  const { group } = move;
  if (group === undefined || move.phase !== 'freezing') return [move];
  const { live, config } = definitionsOf(scene);
  const others = group.disks.filter((disk) => disk !== move.disk);
  const records = others.map((disk) =>
    newest([live, config].map((xml) => xml && readMetadata(xml, disk)?.record)),
  );
  const theirs = records.filter((each) => each !== undefined);
  return [move, ...theirs.filter((each) => each.group?.id === group.id && each.phase === 'freezing')];
}

function snapshotXml(moves: readonly MoveRecord[], others: readonly string[]): string {
  const frozen = moves.map((move) => {
    const source = sourceElement(freezingOf(move).ahead.source);
    return `<disk name='${move.disk}' snapshot='external' type='file'><driver type='qcow2'/>${source}</disk>`;
  });
  const rest = others.map((target) => `<disk name='${target}' snapshot='no'/>`);
  return `<domainsnapshot><disks>${[...frozen, ...rest].join('')}</disks></domainsnapshot>`;
}
