// Puts the guest on overlays at home: one external snapshot of all its disks, at one instant.
import { DomainSnapshotCreateFlags, sourceElement } from '@blockferry/libvirt';
import { info } from '@blockferry/qemu';
import { createPatiently } from '../../storage/create-patiently.ts';
import { toKeyedImage } from '../../storage/passphrase.ts';
import { toImage } from '../../storage/to-image.ts';
import { writeOut } from '../../storage/write-out.ts';
import { StepImpossible } from '../errors.ts';
import { type MigratedDisk, pathOf } from '../record.ts';
import { mustHaveNoWriter } from '../unseen.ts';
import type { MigrationScene } from './scene.ts';

const WITHIN_MS = 30_000;

/**
 * virDomainSnapshotCreateXML with DISK_ONLY, REUSE_EXT, ATOMIC, NO_METADATA: libvirt puts the overlays into the live and the
 * persistent definition. They are made anew before: one that a dead QEMU used unseen must not come back. Over an image in LUKS
 * they are in LUKS too, by the same secret.
 *
 * @throws StepImpossible when a QEMU writes to an overlay that libvirt does not know to be in use
 * @throws LibvirtError NO_SECRET, INVALID_SECRET when the secret is told no more
 */
export async function freeze(scene: MigrationScene): Promise<void> {
  const { pair, record, observation, memory } = scene;
  const { home } = observation;
  if (home?.live === undefined) throw new StepImpossible('freeze', 'the domain does not run any more');
  for (const disk of record.disks) await makeOverlay(scene, disk);
  scene.passed('freeze:overlays');
  const targets = record.disks.map(({ target }) => target);
  const others = home.live.disks().filter(({ target }) => !targets.includes(target));
  const frozen = record.disks.map(({ target, overlay }) => {
    const source = sourceElement(overlay.home.source);
    return `<disk name='${target}' snapshot='external' type='file'><driver type='qcow2'/>${source}</disk>`;
  });
  const rest = others.map(({ target }) => `<disk name='${target}' snapshot='no'/>`);
  const xml = `<domainsnapshot><disks>${[...frozen, ...rest].join('')}</disks></domainsnapshot>`;
  const { DISK_ONLY, REUSE_EXT, ATOMIC, NO_METADATA } = DomainSnapshotCreateFlags;
  await writeOut(
    pair.home.host,
    record.disks.map(({ origin }) => origin.source),
  );
  const began = performance.now();
  await home.domain.snapshotCreateXml(xml, DISK_ONLY | REUSE_EXT | ATOMIC | NO_METADATA);
  memory.freezeMs = performance.now() - began;
}

async function makeOverlay({ pair }: MigrationScene, { origin, overlay }: MigratedDisk): Promise<void> {
  const { host } = pair.home;
  const path = pathOf(overlay.home);
  if ((await host.stat(path)) !== null) {
    await mustHaveNoWriter(pair.home, overlay.home);
    await host.unlink(path);
  }
  await host.createExclusive(path, { mode: 0o600 });
  const { virtualSize } = await info(host, toImage(origin), { timeoutMs: WITHIN_MS });
  const made = await toKeyedImage(await pair.home.link.connection(), overlay.home);
  await createPatiently(host, made, virtualSize, { backing: toImage(origin), overwrite: true });
}
