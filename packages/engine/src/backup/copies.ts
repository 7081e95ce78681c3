// The full pass of a backup: every image of every disk, at one instant, by the engine that copies without moving.
import { join } from 'node:path';
import { convert, create, type Host, readChain } from '@blockferry/qemu';
import type { Context } from '../run/context.ts';
import type { BackupWorld } from './decide.ts';
import { pointPath } from './layout.ts';
import type { BackupRecord } from './model.ts';
import type { BackupScene } from './scene.ts';

export async function copiesOf(
  _context: Context,
  host: Host,
  record: BackupRecord,
): Promise<BackupWorld['copies']> {
  const point = pointPath(record.directory, record.point);
  for (const { images } of record.disks) {
    for (const { path } of images) if ((await host.stat(join(point, `${path}.done`))) === null) return 'none';
  }
  return 'complete';
}

export async function copyFull({ host, record, signal, definitions }: BackupScene): Promise<void> {
  for (const disk of record.disks) {
    const source =
      definitions?.live?.disk(disk.target)?.source ?? definitions?.config?.disk(disk.target)?.source;
    if (source?.kind !== 'file') throw new Error('TEMP');
    const chain = await readChain(host, {
      location: { kind: 'file', path: source.path },
      format: disk.format,
    });
    const path = join(pointPath(record.directory, record.point), disk.images[0].path);
    const image = { location: { kind: 'file', path }, format: disk.images[0].format } as const;
    await create(host, image, disk.capacity, { overwrite: true });
    const [first, ...rest] = chain;
    await convert(host, [first.image, ...rest.map((each) => each.image)], image, { signal, direct: false });
    await host.createExclusive(`${path}.done`);
  }
}

export async function undoCopies(_scene: BackupScene): Promise<void> {}
