// The sums of all files of a point: those that are known since they were copied, and the rest read.
import { join } from 'node:path';
import { guarded } from '../../layered/guarded.ts';
import type { Bytes } from '../../model/units.ts';
import { Pace } from '../../verify/pace.ts';
import type { StoredFile } from '../model.ts';
import type { BackupScene } from '../scene.ts';
import { FileSums, type FileToSum } from './file-sums.ts';

/** Less is read at once: to hear the guest before it takes as long. */
const WORTH_GUARDING: Bytes = 256n << 20n;
const TELL_EVERY_MS = 200;

/**
 * What is read is read as fast as the copies were allowed to be: --bandwidth and the guard hold for it too. All files are on
 * stable storage. May be repeated.
 *
 * @throws FileError, HostError
 */
export async function sumAll(
  scene: BackupScene,
  point: string,
  names: readonly string[],
): Promise<readonly StoredFile[]> {
  const { host, memory, signal } = scene;
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(point, name);
      const size = (await host.stat(path))?.size ?? 0n;
      return { name, path, size, sum: await memory.sums?.of(path) };
    }),
  );
  const unknown = files.filter(({ sum }) => sum === undefined);
  const read = new FileSums(host, unknown);
  const known = sizeOf(files) - sizeOf(unknown);
  const pace = new Pace(sizeOf(files));
  const tell = (done: Bytes) => scene.report({ type: 'progress', stage: 'summing', ...pace.at(done) });
  const timer = setInterval(() => tell(known + read.progress().copiedNow), TELL_EVERY_MS);
  try {
    await guarded(feltBy(scene, sizeOf(unknown)), read, signal).run();
  } finally {
    clearInterval(timer);
  }
  tell(sizeOf(files));
  return files.map(({ name, path, sum }) => {
    const found = sum ?? read.sums.get(path);
    if (found === undefined) throw new Error(`${path} was not summed`);
    return { path: name, ...found };
  });
}

function feltBy({ context, record, definitions }: BackupScene, bytes: Bytes): Parameters<typeof guarded>[0] {
  const { guard, bandwidth } = record.copying;
  const [first, ...others] = record.disks;
  const isFelt = definitions?.running === true && bytes >= WORTH_GUARDING;
  return {
    link: context.link,
    uuid: record.domain.uuid,
    // No name: all disks together.
    disk: others.length === 0 ? (first?.target ?? '') : '',
    ...(guard !== undefined && isFelt && { guard }),
    ...(bandwidth !== undefined && { bandwidth }),
  };
}

function sizeOf(files: readonly Pick<FileToSum, 'size'>[]): Bytes {
  return files.reduce((sum, { size }) => sum + size, 0n);
}
