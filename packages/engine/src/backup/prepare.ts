// What a point has before anything is copied: its directory, the definition, the firmware's variables, the TPM's state, and
// for an increment an empty image over each of the point before.
import { join } from 'node:path';
import { DomainXml, DomainXmlFlags } from '@blockferry/libvirt';
import { type Host, type Image, quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { Definitions } from '../observe/definitions.ts';
import { CREATE_WITHIN_MS, createPatiently } from '../storage/create-patiently.ts';
import { copyFile, flush } from '../storage/whole-files.ts';
import { DEFINITION, MANIFEST, NVRAM, pointPath, TPM } from './layout.ts';
import { keyed, storedImage } from './locked.ts';
import type { BackupRecord, StoredImage } from './model.ts';
import { withoutRecords } from './plain-definition.ts';
import { readPoint } from './points.ts';
import { type BackupScene, domainOf } from './scene.ts';
import { archive } from './tpm.ts';

/** The guest's QEMU goes through it to its image, as a user of its own. */
export const DIRECTORY_MODE = 0o711;

/** May be repeated: what is there is made anew. @throws FileError, HostError, LibvirtError, QemuImgError */
export async function prepare(scene: BackupScene): Promise<void> {
  const { host, record, memory } = scene;
  const point = pointPath(record.directory, record.point);
  await emptyPoint(host, record);
  const definition = await definitionOf(domainOf(scene), record);
  await host.writeFileAtomic(join(point, DEFINITION), definition, { mode: 0o600 });
  await storeStates(scene, point);
  if (record.kind === 'incremental') await makeTargets(scene);
  memory.prepared = true;
}

/** Flushed at once: that storage lost something the kernel tells once, and after that all of it has to be made anew, as here. */
async function storeStates({ host, record, signal }: BackupScene, point: string): Promise<void> {
  const { nvram, tpm } = record;
  const [at, archived] = [join(point, NVRAM), join(point, TPM)];
  if (nvram !== undefined) await copyFile(host, nvram, at, signal);
  if (tpm !== undefined) await archive(host, tpm, archived, signal);
  const [first, ...others] = [...(nvram === undefined ? [] : [at]), ...(tpm === undefined ? [] : [archived])];
  if (first !== undefined) await flush(host, [first, ...others], signal);
}

/** The directory of the record's point, with nothing in it. */
async function emptyPoint(host: Host, record: BackupRecord): Promise<void> {
  await removePoint(host, record.directory, record.point);
  await host.mkdir(pointPath(record.directory, record.point), { mode: DIRECTORY_MODE });
}

/** Removes a point that is none, manifest first: what is left by a crash is none either. @throws Refusal `not-ours` */
export async function removePoint(host: Host, directory: string, name: string): Promise<void> {
  const point = pointPath(directory, name);
  if ((await host.stat(point, { followSymlinks: false }))?.type !== 'directory') return;
  const names = await host.readdir(point);
  await mustBeFiles(host, point, names);
  await mustBeOfPoint(host, { directory, name }, names);
  await host.unlink(join(point, MANIFEST));
  for (const each of names) await host.unlink(join(point, each));
  await host.rmdir(point);
}

/** We make no directories there. @throws Refusal `not-ours`, with nothing removed */
async function mustBeFiles(host: Host, point: string, names: readonly string[]): Promise<void> {
  for (const path of names.map((name) => join(point, name))) {
    if ((await host.stat(path, { followSymlinks: false }))?.type !== 'directory') continue;
    const hint = `see what it is, and move it away: ls -la ${quoteArgument(path)}`;
    throw new Refusal(
      'not-ours',
      `${path} is a directory, which no backup has: ${point} is not removed`,
      { path },
      hint,
    );
  }
}

/**
 * What a manifest does not name is somebody else's: an image that was restored to there, or an overlay on a backup. Hidden
 * files are what our tools leave. @throws Refusal `not-ours`, with nothing removed
 */
async function mustBeOfPoint(
  host: Host,
  { directory, name }: { readonly directory: string; readonly name: string },
  names: readonly string[],
): Promise<void> {
  const point = await readPoint(host, directory, name);
  if (point.kind !== 'sealed') return;
  const own = [MANIFEST, ...point.manifest.files.map(({ path }) => path)];
  const stranger = names.find((each) => !own.includes(each) && !each.startsWith('.'));
  if (stranger === undefined) return;
  const path = join(pointPath(directory, name), stranger);
  const hint = `see what it is, and move it away: ls -la ${quoteArgument(path)}`;
  throw new Refusal('not-ours', `${path} is not of the backup ${name}, which is not removed`, { path }, hint);
}

/** Empty images over those of the point before, which QEMU is then told to write what changed into. */
export async function makeTargets(scene: BackupScene): Promise<void> {
  const { host, record } = scene;
  for (const { images, backing, capacity } of record.disks) {
    const path = join(pointPath(record.directory, record.point), images[0].path);
    // A new inode, whoever may still write to the one that was there.
    await host.unlink(path);
    await host.createExclusive(path, { mode: 0o600 });
    const image = await targetOf(scene, images[0]);
    const how = { ...(backing && { backing }), overwrite: true, timeoutMs: CREATE_WITHIN_MS } as const;
    await createPatiently(host, image, capacity, how);
  }
}

/** What an increment is written into, to be opened. @throws LibvirtError NO_SECRET, INVALID_SECRET */
export function targetOf({ context, record }: BackupScene, image: StoredImage): Promise<Image> {
  const stored = storedImage(pointPath(record.directory, record.point), image);
  return keyed(() => context.link.connection(), stored);
}

/**
 * The persistent definition, with its secrets, for that is what the next boot uses; of a domain that is transient, or whose
 * running definition has disks that the persistent one lacks, the running one.
 */
async function definitionOf({ domain, config, live }: Definitions, { disks }: BackupRecord): Promise<string> {
  const hasAll = (xml: DomainXml | undefined) => disks.every(({ target }) => xml?.disk(target) !== undefined);
  const inactive = hasAll(config) || live === undefined ? DomainXmlFlags.INACTIVE : 0;
  return withoutRecords(
    DomainXml.parse(await domain.getXmlDesc(inactive | DomainXmlFlags.SECURE)),
  ).toString();
}
