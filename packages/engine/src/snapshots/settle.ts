// Once the guest is on the destination: its snapshots come along, and what cannot is said.
import type { MoveRecord } from '../model/record.ts';
import type { Definitions } from '../observe/definitions.ts';
import type { Context } from '../run/context.ts';
import { type Carried, carrySnapshots } from './carry.ts';
import type { Loss, LossReason } from './fate.ts';
import { imageMovesOf } from './image-move.ts';

type Settling = {
  readonly context: Pick<Context, 'link' | 'host'>;
  readonly move: MoveRecord;
  readonly observation: { readonly definitions: Definitions | undefined };
  readonly warn: (code: string, message: string) => void;
};

/**
 * Part of the last steps of a move that has succeeded, before any source is deleted and before the record goes. May be
 * repeated. A domain that is gone took its snapshots along.
 *
 * @throws what carrySnapshots throws: the step is to be repeated
 */
export async function settleSnapshots({ context, move, observation, warn }: Settling): Promise<void> {
  const { definitions } = observation;
  if (definitions === undefined) return;
  const scene = {
    connection: await context.link.connection(),
    host: context.host,
    domain: definitions.domain,
  };
  for (const each of await carrySnapshots(scene, imageMovesOf(move))) {
    const words = whyNot(each);
    if (words !== undefined) warn('snapshot-stays', words);
  }
}

/** Why a snapshot does not come along, in words for people; undefined when it does. */
export function whyNot(carried: Carried): string | undefined {
  switch (carried.kind) {
    case 'untouched':
    case 'rewritten':
      return undefined;
    case 'refused':
      return `snapshot ${carried.name} still names the old images: ${carried.message}`;
    case 'left': {
      const reasons = [...new Set(carried.losses.map(inWords))].join('; ');
      return `snapshot ${carried.name} stays with the old images, which are to be kept as long as it is wanted: ${reasons}`;
    }
  }
}

const REASONS: Readonly<Record<LossReason, (image: string) => string>> = {
  internal: (image) => `it is kept inside ${image}, of which only the contents move`,
  manual: (image) => `the storage keeps it, where ${image} is`,
  dissolved: (image) => `${image} becomes part of one image`,
  branch: (image) => `${image} is no part of the disk's chain`,
};

function inWords({ image, why }: Loss): string {
  return REASONS[why](image);
}
