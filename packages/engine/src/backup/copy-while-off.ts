// An increment of a domain that is off: libvirt makes none, but the bitmaps of its checkpoints are in the images. A storage
// daemon copies what they have marked, and changes nothing in them.
import { type DiskDefinition, DomainCheckpointXmlFlags } from '@blockferry/libvirt';
import {
  addPassphrases,
  type ChainImage,
  hasBacking,
  type Image,
  type QmpClient,
  QmpCommandError,
  startStorageDaemon,
  toBlockdev,
} from '@blockferry/qemu';
import { runBlockJob } from '../layers/daemon/block-job.ts';
import { Refusal } from '../model/errors.ts';
import { checkpointsOf } from '../observe/checkpoints.ts';
import type { Definitions } from '../observe/definitions.ts';
import { findDisk } from '../preflight/situation.ts';
import { refAt } from '../storage/chain-refs.ts';
import { readDiskChain } from '../storage/disk-chain.ts';
import { toKeyedImage } from '../storage/passphrase.ts';
import { Pace } from '../verify/pace.ts';
import { watchArrival } from './arrival.ts';
import type { BackupDisk } from './model.ts';
import { makeTargets, targetOf } from './prepare.ts';
import { type BackupScene, domainOf, recorded } from './scene.ts';

/**
 * What changed since a checkpoint is what its bitmap has marked, and those of all that came after it, in any image of the
 * chain (see qemu-img/bitmap.ts). While it is copied nobody can start the domain: the daemon holds QEMU's locks. A crash
 * leaves an image that is made anew.
 *
 * @throws Refusal `checkpoint-broken`; QmpCommandError, StorageDaemonError, HostError
 */
export async function copyWhileOff(scene: BackupScene): Promise<void> {
  const { record, memory } = scene;
  await makeTargets(scene);
  await watchArrival(scene);
  for (const disk of record.disks) await copyDisk(scene, disk);
  memory.witnessed = 'completed';
  await recorded(scene, { ...record, phase: 'copying' });
}

async function copyDisk(scene: BackupScene, disk: BackupDisk): Promise<void> {
  const { host, record, signal, report } = scene;
  const definitions = domainOf(scene);
  const { config } = definitions;
  if (config === undefined || record.parent === undefined)
    throw new Error('an increment of a domain that is off');
  const definition = findDisk(config, disk.target);
  const chain = await readDiskChain(host, definition);
  const names = await bitmapsSince(definitions, record.parent.checkpoint, disk.target);
  const marked = markedIn(chain, names);
  const pace = new Pace(disk.capacity);
  await using daemon = await startStorageDaemon(host, { signal });
  const { qmp } = daemon;
  const [images, target] = await Promise.all([
    keyedChain(scene, definition, chain),
    targetOf(scene, disk.images[0]),
  ]);
  await addPassphrases(qmp, [...images, target]);
  await openChain(qmp, images);
  await qmp.executeRaw('block-dirty-bitmap-add', { node: nodeAt(0), name: 'increment', persistent: false });
  const bitmaps = marked.map(({ depth, name }) => ({ node: nodeAt(depth), name }));
  await qmp.executeRaw('block-dirty-bitmap-merge', { node: nodeAt(0), target: 'increment', bitmaps });
  // Without what is below it: what is not copied shows that, once the header is read again.
  await qmp.execute('blockdev-add', { 'node-name': 'target', ...toBlockdev(target) });
  const end = await runBlockJob(
    qmp,
    'increment',
    () =>
      qmp.execute('blockdev-backup', {
        'job-id': 'increment',
        device: nodeAt(0),
        target: 'target',
        sync: 'bitmap',
        bitmap: 'increment',
        'bitmap-mode': 'never',
        'auto-dismiss': false,
      }),
    {
      progress: (bytes) => report({ type: 'progress', stage: 'copying', ...pace.at(bytes) }),
      waitsForSpace: () => {},
    },
  );
  if (end.kind === 'failed') throw new QmpCommandError('blockdev-backup', 'GenericError', end.detail);
  await qmp.execute('blockdev-del', { 'node-name': 'target' });
}

const nodeAt = (depth: number) => `layer${depth}`;

/** Read-only: its bitmaps cannot change. */
async function openChain(qmp: QmpClient, chain: readonly Image[]): Promise<void> {
  const readOnly = { 'read-only': true };
  for (const [depth, image] of [...chain.entries()].toReversed()) {
    const below = depth + 1 < chain.length ? nodeAt(depth + 1) : null;
    const formatNode = { ...readOnly, ...(hasBacking(image.format) && { backing: below }) };
    const node = toBlockdev(image, { fileNode: readOnly, formatNode });
    await qmp.execute('blockdev-add', { 'node-name': nodeAt(depth), ...node });
  }
}

/** Headers do not name secrets: the definition does. @throws LibvirtError NO_SECRET, INVALID_SECRET */
async function keyedChain(
  { context }: BackupScene,
  disk: DiskDefinition,
  chain: readonly ChainImage[],
): Promise<readonly Image[]> {
  const connection = await context.link.connection();
  const refs = chain.map((each, depth) => refAt({ disk }, each, depth));
  return Promise.all(
    refs.map((ref, at) => {
      const plain = ref.source.encryption === undefined ? chain[at]?.image : undefined;
      return plain ?? toKeyedImage(connection, ref);
    }),
  );
}

/** The bitmaps, on this disk, of a checkpoint and of all that came after it. */
export async function bitmapsSince(
  { domain }: Pick<Definitions, 'domain'>,
  since: string,
  disk: string,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const checkpoint of await checkpointsOf(domain)) {
    let at: typeof checkpoint | null = checkpoint;
    while (at !== null && at.name !== since) at = await at.parent();
    if (at === null) continue;
    const xml = await checkpoint.getXmlDesc(DomainCheckpointXmlFlags.NO_DOMAIN);
    const [, bitmap] =
      new RegExp(`<disk name='${disk}' checkpoint='bitmap' bitmap='([^']*)'`).exec(xml) ?? [];
    if (bitmap !== undefined) found.push(bitmap);
  }
  return found;
}

/**
 * Where each bitmap is in the chain, from the top down to the image where it began. Pure.
 *
 * @throws Refusal `checkpoint-broken` for one that is missing, or was not closed
 */
export function markedIn(
  chain: readonly Pick<ChainImage, 'bitmaps'>[],
  names: readonly string[],
): readonly { readonly depth: number; readonly name: string }[] {
  return names.flatMap((name) => {
    const places = chain.map(({ bitmaps }) => bitmaps.find((bitmap) => bitmap.name === name));
    const end = places.indexOf(undefined);
    const parts = places.slice(0, end === -1 ? places.length : end);
    const isBroken = parts.length === 0 || parts.some((part) => part?.flags.includes('in-use'));
    if (!isBroken) return parts.map((_, depth) => ({ depth, name }));
    throw new Refusal(
      'checkpoint-broken',
      `the bitmap ${name} is not whole: what changed since the last backup is not known; that is so when QEMU was killed`,
      { name },
      'make a full backup: leave --incremental out',
    );
  });
}
