// What a destination takes over from the source where the operator says nothing else.
import { basename } from 'node:path';
import type { ImageRef } from '../model/record.ts';
import { toRef } from '../storage/to-image.ts';
import type { CopyAsked } from './request.ts';
import type { Situation } from './situation.ts';

export function sourceFormat({ disk }: Situation): string {
  return disk.chain[0]?.format ?? disk.driver.format ?? 'raw';
}

/** The file name; a source that is no file has one made of domain and disk. */
export function fileNameOf({ disk, live }: Situation, copy?: Pick<CopyAsked, 'nameOf'>): string {
  const { source } = disk;
  if (copy?.nameOf !== undefined && source !== undefined) {
    return copy.nameOf({ source, format: disk.chain[0]?.format ?? 'raw' }, disk.target, 0);
  }
  if (source?.kind === 'file') return basename(source.path);
  return `${live.name}-${disk.target}.${disk.chain[0]?.format ?? 'raw'}`;
}

/** The image that a shallow copy shares: below the active one. */
export function sharedBacking({ chain, disk }: Situation): ImageRef | undefined {
  const [, below] = chain ?? [];
  if (below !== undefined) return toRef(below.image);
  const [, told] = disk.chain;
  return told && { source: told.source, format: told.format ?? 'raw' };
}
