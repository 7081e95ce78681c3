// Makes the destination ready to receive: the copies' links, and empty overlays on them.
import { hasWriter, info } from '@blockferry/qemu';
import { type Link, noteLeft, relink } from '../../layers/index.ts';
import { createPatiently } from '../../storage/create-patiently.ts';
import { toKeyedImage } from '../../storage/passphrase.ts';
import { toImage, toLocation } from '../../storage/to-image.ts';
import { planOf } from '../copies.ts';
import { StepImpossible } from '../errors.ts';
import { type MigratedDisk, pathOf } from '../record.ts';
import type { MigrationScene } from './scene.ts';

const WITHIN_MS = 30_000;

/**
 * Writes each copy's backing link, where it is not there yet. May be repeated.
 *
 * @throws LibvirtError NO_SECRET, INVALID_SECRET when the destination's libvirt tells the secret of one in LUKS no more
 */
export async function relinkCopies({ pair, record, memory }: MigrationScene): Promise<void> {
  const links: Link[] = [];
  for (const { to, backing } of record.disks.flatMap(({ layers }) => layers)) {
    // What a raw image has in its first bytes is the guest's, or LUKS's: it has no link.
    if (to.format === 'raw') continue;
    const image = await toKeyedImage(await pair.away.link.connection(), to);
    const { reference, format } = backing ?? {};
    const isBase = reference === undefined || format === undefined;
    links.push({ image, backing: isBase ? null : { image: { ...image, format }, reference } });
  }
  await relink(pair.away.host, links);
  for (const { layers } of record.disks) {
    for (const base of layers.slice(1)) await noteLeft(pair.home.host, planOf(pair.away, base));
  }
  memory.relinked = true;
}

/** Anew if they are there: a migration that failed may have left anything in them. May be repeated. */
export async function prepareOverlays(scene: MigrationScene): Promise<void> {
  for (const disk of scene.record.disks) await makeOverlay(scene, disk);
  scene.memory.overlaysFresh = true;
}

async function makeOverlay({ pair, observation, record }: MigrationScene, disk: MigratedDisk): Promise<void> {
  const { host } = pair.away;
  const path = pathOf(disk.overlay.away);
  if (observation.away !== undefined) throw new StepImpossible('prepare', 'the domain is there already');
  const isThere = (await host.stat(path)) !== null;
  if (isThere && (await hasWriter(host, toLocation(disk.overlay.away.source), WITHIN_MS)) !== 'no') {
    throw new StepImpossible(
      'prepare',
      `${path} is in use at the destination, and libvirt does not say by whom: perhaps another blockferry is at work`,
    );
  }
  await host.unlink(path);
  await host.createExclusive(path, { mode: 0o600 });
  // As at home, for QEMU mirrors between equals: the disk may have been resized since it was frozen, and a copy of a raw image
  // may have been rounded up.
  const atHome = record.mode === 'live' ? disk.overlay.home : disk.origin;
  const { virtualSize } = await info(pair.home.host, toImage(atHome), { timeoutMs: WITHIN_MS });
  const backing = toImage(disk.layers[0].to);
  const overlay = await toKeyedImage(await pair.away.link.connection(), disk.overlay.away);
  await createPatiently(host, overlay, virtualSize, { backing, overwrite: true });
}
