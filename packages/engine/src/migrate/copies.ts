// The copies at the destination of the images at home: what their journals say, and the copying.
import { type Felt, inBackground } from '../layered/background.ts';
import { hasRoomAt } from '../layered/room.ts';
import { copyJournalPath, copyState, LayerCopy, type LayerPlan } from '../layers/index.ts';
import type { Layer } from '../model/record.ts';
import { toImage } from '../storage/to-image.ts';
import type { MigrationScene } from './act/scene.ts';
import type { MigrationMemory } from './memory.ts';
import type { Pair } from './pair.ts';
import { copiesOf, type MigrationRecord, pathOf } from './record.ts';
import { openWay } from './way.ts';
import type { MigrationWorld } from './world.ts';

/** Of each image and its copy; the base first, disk by disk. */
export function plansOf({ away }: Pair, record: MigrationRecord): LayerPlan[] {
  return record.disks.flatMap(({ layers }) => layers.toReversed().map((layer) => planOf(away, layer)));
}

/** As the copy's own host has it; `to` is replaced by the way to it once there is one. */
export function planOf({ host }: Pair['away'], { from, to }: Pick<Layer, 'from' | 'to'>): LayerPlan {
  const file = toImage(to);
  const source = toImage(from);
  return {
    from: source,
    to: file,
    how: 'bytes',
    chain: [source],
    journal: copyJournalPath(pathOf(to)),
    away: { host, file },
  };
}

/** What the journals of all copies say together; while a copy runs, that knows better. */
export async function copiesState(
  pair: Pair,
  record: MigrationRecord,
  memory: MigrationMemory,
): Promise<MigrationWorld['copies']> {
  if (memory.copy?.state() === 'running') return 'partial';
  if (memory.crossing?.state() === 'running') return 'complete';
  const states = await Promise.all(plansOf(pair, record).map((plan) => copyState(pair.home.host, plan)));
  if (states.some(({ kind }) => kind === 'foreign')) return 'stale';
  const { verify } = record.options;
  const done = states.every((state) => state.kind === 'complete' && (state.verified || !verify));
  return done ? 'complete' : 'partial';
}

/** Begins to copy what is not copied yet. Returns as soon as it has begun. */
export async function copyAway(scene: MigrationScene): Promise<void> {
  const { pair, record, memory } = scene;
  const { home, away } = pair;
  const way = await openWay(home.host, away.host, record.id, record.options.tls);
  const plans = plansOf(pair, record).map((plan, at) => ({
    ...plan,
    to: { location: way.locationOf(at), format: 'raw' },
  }));
  const copy = new LayerCopy(home.host, plans, {
    verify: record.options.verify,
    moveId: record.id,
    hasRoom: () => hasRoomThere(pair, record),
    lead: (unfinished, signal) => way.export(unfinished, signal),
  });
  const onEnd = async () => {
    await way[Symbol.asyncDispose]();
    scene.ring();
  };
  memory.copy = inBackground(copy, feltBy(scene), () => {}, onEnd);
}

function feltBy({ pair, record }: MigrationScene): Felt {
  const { guard, bandwidth } = record.options;
  const [first, ...more] = record.disks;
  return {
    link: pair.home.link,
    uuid: record.domain.uuid,
    disk: more.length === 0 ? first.target : '',
    ...(guard !== undefined && { guard }),
    ...(bandwidth !== undefined && { bandwidth }),
  };
}

async function hasRoomThere({ away }: Pair, record: MigrationRecord): Promise<boolean> {
  const tops = copiesOf(record).map(pathOf);
  const answers = await Promise.all(tops.map((path) => hasRoomAt(away.host, path, 0n)));
  return answers.every(Boolean);
}

export async function stopCopying({ memory }: MigrationScene): Promise<void> {
  await memory.copy?.stop();
  delete memory.copy;
}
