// How much a restore writes, and whether there is room for it.
import type { Host } from '@blockferry/qemu';
import type { PointChain } from '../backup/points.ts';
import type { Bytes } from '../model/units.ts';
import { LUKS_HEADER_BYTES } from '../preflight/encryption.ts';
import { mustHoldAll } from '../preflight/file-systems.ts';
import { mustServe } from '../preflight/look.ts';
import type { RestorePlan } from './request.ts';

/** No more than the guest saw of a disk, and no more than its images hold. */
export function bytesOf(chain: PointChain, target: string): Bytes {
  const disk = chain[0].disks.find((each) => each.target === target);
  if (disk === undefined) throw new Error(`the point has no disk ${target}`);
  const { capacity, format, images } = disk;
  const [{ secret }] = images;
  const header = secret === undefined ? 0n : LUKS_HEADER_BYTES;
  const held = chain.reduce((all, { disks, files }) => {
    const own = disks.find((each) => each.target === target)?.images ?? [];
    const sizes = files.filter(({ path }) => own.some((image) => image.path === path));
    return all + sizes.reduce((each, { size }) => each + size, 0n);
  }, 0n);
  // Raw in LUKS is written in full, zeros and all.
  const isSparse = format !== 'raw' || secret === undefined;
  return header + (isSparse && held < capacity ? held : capacity);
}

/** Each file system takes the disks that go there: they may be as far apart as those of the domain were. */
export async function mustHaveRoom(host: Host, { disks }: RestorePlan, chain: PointChain): Promise<void> {
  const files = disks.map(({ target, path }) => ({ path, bytes: bytesOf(chain, target) }));
  const hint = 'make room there, or choose another directory: --to DIR';
  await mustHoldAll(host, files, { what: 'what is restored needs', hint });
  for (const { path } of disks) await mustServe(host, path);
}
