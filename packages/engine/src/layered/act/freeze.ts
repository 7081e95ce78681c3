// Puts the guest on the overlay; from then on the images below it do not change.
import { DomainSnapshotCreateFlags, diskElement } from '@blockferry/libvirt';
import { create, info } from '@blockferry/qemu';
import { definitionsOf } from '../../act/scene-domain.ts';
import { toImage } from '../../storage/to-image.ts';
import { bitmapsOntoOverlay } from '../bitmaps.ts';
import { layeredPart } from '../image-at.ts';
import { defineOn } from './define-on.ts';
import { claimFiles, filePath, hostOf } from './files.ts';
import type { LayeredScene } from './layered-scene.ts';

/** Takes the names of the overlay and of all copies, and makes the overlay over the image that the guest is on. */
export async function claimAll(scene: LayeredScene): Promise<void> {
  const { move, observation } = scene;
  const { overlay, layers } = layeredPart(move);
  const wanted = observation.world.overlay === 'ours' ? [] : [overlay];
  const missing = observation.world.copyFiles === 'ours' ? [] : layers.map(({ to }) => to);
  await claimFiles(scene, [...wanted, ...missing.filter((image) => !isMade(scene, filePath(image)))]);
  if (wanted.length > 0) await makeOverlay(scene);
}

/** Claimed before, by this move. */
function isMade({ observation }: LayeredScene, path: string | undefined): boolean {
  return path !== undefined && observation.journal?.files?.[path] !== undefined;
}

async function makeOverlay(scene: LayeredScene): Promise<void> {
  const host = hostOf(scene);
  const { origin } = scene.move;
  const { virtualSize } = await info(host, toImage(origin), { timeoutMs: 30_000 });
  const backing = toImage(origin);
  await create(host, toImage(layeredPart(scene.move).overlay), virtualSize, { backing, overwrite: true });
}

/**
 * An external snapshot without metadata onto the overlay that is there (virDomainSnapshotCreateXML with DISK_ONLY,
 * REUSE_EXT, ATOMIC, NO_METADATA): libvirt puts it into the live and the persistent definition. A domain that is off is
 * defined on it instead. A crash leaves the guest on one of the two; both are complete.
 */
export async function freeze(scene: LayeredScene): Promise<void> {
  const { move } = scene;
  const { domain, running, live } = definitionsOf(scene);
  if (!running) {
    await bitmapsOntoOverlay(scene);
    return defineOn(scene, 'overlay');
  }
  const others = live?.disks().filter(({ target }) => target !== move.disk) ?? [];
  const xml = snapshotXml(
    move.disk,
    diskElement(layeredPart(move).overlay.source, 'qcow2'),
    others.map(({ target }) => target),
  );
  const { DISK_ONLY, REUSE_EXT, ATOMIC, NO_METADATA } = DomainSnapshotCreateFlags;
  await domain.snapshotCreateXml(xml, DISK_ONLY | REUSE_EXT | ATOMIC | NO_METADATA);
}

function snapshotXml(disk: string, element: string, others: readonly string[]): string {
  const source = /<source[\s\S]*?(\/>|<\/source>)/.exec(element)?.[0] ?? '';
  const rest = others.map((target) => `<disk name='${target}' snapshot='no'/>`).join('');
  return `<domainsnapshot><disks><disk name='${disk}' snapshot='external' type='file'><driver type='qcow2'/>${source}</disk>${rest}</disks></domainsnapshot>`;
}
