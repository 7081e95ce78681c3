// Puts the place of a volume where a disk's definition names it by pool and volume.
import type { DiskDefinition } from './disk-definition.ts';
import type { DiskSource, VolumeSource } from './disk-source.ts';
import { present } from './read-source.ts';

/** Where a volume is; undefined: not known. */
export type VolumePlace = (volume: VolumeSource) => DiskSource | undefined;

/** What the definition says beside the name (slices, secrets, labels) stays. A volume whose place is not known stays, too. */
export function withVolumesPlaced(disk: DiskDefinition, placeOf: VolumePlace): DiskDefinition {
  const placed = (source: DiskSource): DiskSource => {
    if (source.kind !== 'volume') return source;
    const { kind, pool, volume, mode, ...details } = source;
    const place = placeOf(source);
    const named = { kind, pool, volume, ...present({ mode }) };
    return place === undefined ? source : { ...details, ...place, named };
  };
  const placedIn = <T extends { readonly source: DiskSource }>(image: T): T => ({
    ...image,
    source: placed(image.source),
  });
  const { source, chain, mirror } = disk;
  return {
    ...disk,
    source: source && placed(source),
    chain: chain.map(placedIn),
    ...(mirror && {
      mirror: {
        ...mirror,
        source: mirror.source && placed(mirror.source),
        chain: mirror.chain.map(placedIn),
      },
    }),
  };
}

/** Every volume that the disk names, the images below it and those of its mirror included. */
export function volumesOf({ source, chain, mirror }: DiskDefinition): VolumeSource[] {
  const named = [
    source,
    mirror?.source,
    ...[...chain, ...(mirror?.chain ?? [])].map((image) => image.source),
  ];
  return named.filter((one) => one?.kind === 'volume');
}
