// Who else depends on the images that a commit changes: a base may belong to many, and most of them may be off.
import { describeSource } from '@blockferry/libvirt';
import type { MoveRecord } from '../model/record.ts';
import { type Usage, type Use, usesOf } from '../observe/usage.ts';

/** Another disk, of this domain or another, that has one of the images that a commit changes in its chain. */
export interface Other {
  readonly image: string;
  readonly use: Use;
}

type Changed = Pick<MoveRecord, 'domain' | 'disk' | 'sources' | 'destination'>;

/** The image that takes the data changes, and with it what every image over it shows. Pure. */
export function othersOn(usage: Usage, { domain, disk, sources, destination }: Changed): Other[] {
  return [...sources, destination].flatMap(({ source }) =>
    usesOf(usage, source)
      .filter((use) => use.uuid !== domain.uuid || use.disk !== disk)
      .map((use) => ({ image: describeSource(source), use })),
  );
}

export function otherWords({ image, use }: Other): string {
  const how = use.role === 'backing' ? 'stands on' : 'uses';
  return `${use.disk} of ${use.domain} ${how} ${image} (${use.definition} definition)`;
}

/** Chains of other disks that could not be read to their end may have it. */
export function unknownOthers(
  usage: Usage,
  { domain, disk }: Pick<Changed, 'domain' | 'disk'>,
): Usage['unknown'] {
  return usage.unknown.filter((one) => one.domain !== domain.name || one.disk !== disk);
}
