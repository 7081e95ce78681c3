// Makes a good backup of a point whose images are complete: checked, summed, and at the very end the manifest.
import { join } from 'node:path';
import { check, readHeader } from '@blockferry/qemu';
import { flush } from '../storage/whole-files.ts';
import { DEFINITION, manifestPath, NVRAM, pointPath, TPM } from './layout.ts';
import { keyed, storedImage } from './locked.ts';
import { formatManifest } from './manifest.ts';
import type { BackupDisk, Manifest, StoredFile } from './model.ts';
import type { BackupScene } from './scene.ts';
import { sumAll } from './sums/sum-all.ts';

/**
 * The manifest is written whole or not at all, when all that it speaks of is on stable storage (temporary file, fsync,
 * rename, fsync of the directory). May be repeated.
 *
 * @throws Error when an image is not what it should be; FileError, HostError, QemuImgError. The record stands
 */
export async function seal(scene: BackupScene): Promise<void> {
  const { host, record, signal } = scene;
  const point = pointPath(record.directory, record.point);
  const paths = namesOf(scene).map((name) => join(point, name));
  await Promise.all([
    flush(host, [point, record.directory, ...paths], signal),
    ...record.disks.map((disk) => mustBeSound(scene, point, disk)),
  ]);
  const files = await sumAll(scene, point, namesOf(scene));
  await host.writeFileAtomic(
    manifestPath(record.directory, record.point),
    formatManifest(manifestOf(scene, files)),
  );
}

function namesOf({ record }: BackupScene): readonly string[] {
  const images = record.disks.flatMap((disk) => disk.images.map(({ path }) => path));
  const ifStored = (what: string | undefined, name: string) => (what === undefined ? [] : [name]);
  return [DEFINITION, ...ifStored(record.nvram, NVRAM), ...ifStored(record.tpm, TPM), ...images];
}

/** What is in LUKS is opened here, for later whoever checks it may have no secret; its sum then says that it is the same. */
async function mustBeSound(
  { context, host, signal }: BackupScene,
  point: string,
  disk: BackupDisk,
): Promise<void> {
  const [top] = disk.images;
  const [{ virtualSize }] = await Promise.all([
    readHeader(host, storedImage(point, top), { signal }),
    ...disk.images.map(async (stored) => {
      const image = await keyed(() => context.link.connection(), storedImage(point, stored));
      const { verdict } = await check(host, image, { signal });
      if (verdict === 'corrupt') throw new Error(`${join(point, stored.path)} is corrupt (qemu-img check)`);
    }),
  ]);
  if (virtualSize !== disk.capacity) {
    throw new Error(`${join(point, top.path)} shows ${virtualSize} bytes instead of ${disk.capacity}`);
  }
}

function manifestOf({ record }: BackupScene, files: readonly StoredFile[]): Manifest {
  const { id, set, point, kind, domain, time, running, parent, checkpoint, quiesced, disks } = record;
  // What is off has no new checkpoint: the next increment is counted from the one before as well, and holds more.
  const since = checkpoint ?? parent?.checkpoint;
  return {
    version: 1,
    id,
    set,
    point,
    kind,
    ...(parent && { parent: parent.point }),
    domain,
    time,
    running,
    quiesced: quiesced === true,
    ...(since !== undefined && { checkpoint: since }),
    disks: disks.map(({ backing: _, ...disk }) => disk),
    files,
    ...(record.nvram !== undefined && { nvram: NVRAM }),
    ...(record.tpm !== undefined && { tpm: TPM }),
  };
}
