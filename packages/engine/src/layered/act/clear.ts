// Removes what a layered move made and nobody uses any more.
import { describeSource, sameSource } from '@blockferry/libvirt';
import { removeRbdImage } from '../../act/claim-rbd-image.ts';
import { updateJournal } from '../../act/update-journal.ts';
import { copyJournalPath } from '../../layers/index.ts';
import { StepFailed } from '../../model/errors.ts';
import type { ImageRef, MoveRecord } from '../../model/record.ts';
import { allLayers, filesMadeBy } from '../../model/rounds.ts';
import { readUsage, type Use, usesOf } from '../../observe/usage.ts';
import { basesOf, sharedOf } from '../bases.ts';
import { claimOf, isSomething } from '../claims.ts';
import { copyJournals } from '../copies.ts';
import { layeredPart } from '../image-at.ts';
import { filePath, hostOf } from './files.ts';
import type { LayeredScene } from './layered-scene.ts';

/**
 * Overlay and carrier, or the copies too. What another disk stands on by now stays, and is its from then on. May be repeated.
 *
 * @throws StepFailed when a definition refers to one of them for this disk: then none is removed
 */
export async function clear(scene: LayeredScene, what: 'overlays' | 'everything'): Promise<void> {
  const { move, observation } = scene;
  const part = layeredPart(move);
  const stays = what === 'everything' ? [] : part.layers.map(({ to }) => to);
  const made = await ours(
    scene,
    filesMadeBy(part).filter((image) => !stays.includes(image)),
  );
  const others = await usedByOthers(scene, made);
  const doomed = made.filter((image) => !others.includes(image));
  const image = what === 'everything' && isOurImage(scene) ? [move.destination] : [];
  await mustBeUnused(scene, [...doomed, ...image]);
  const host = hostOf(scene);
  const files = { ...observation.journal?.files };
  // First: what tells the next who looks that something is left to remove are the images.
  const stay = others.map(journalPathOf);
  const useless = (await uselessJournals(scene, what)).filter((path) => !stay.includes(path));
  await Promise.all(useless.map((path) => host.unlink(path)));
  for (const path of doomed.map(filePath)) {
    if (path === undefined) continue;
    await host.unlink(path);
    delete files[path];
  }
  for (const path of others.map(filePath)) if (path !== undefined) delete files[path];
  if (image.length > 0) await removeRbdImage(scene, host);
  if (observation.journal !== undefined) await updateJournal(scene, { ...observation.journal, files });
}

/** An RBD image that we made, or were about to. */
function isOurImage({ move: { ownership }, memory }: LayeredScene): boolean {
  return ownership.kind === 'rbd-image' && ownership.claimed === true && !memory.copyStays;
}

/** Those that were brought for others too: moves that are under way link to them, or have. */
async function usedByOthers(scene: LayeredScene, made: readonly ImageRef[]): Promise<readonly ImageRef[]> {
  const { context, move, warn } = scene;
  const bases = basesOf(move).map(({ to }) => to);
  const asked = made.filter((image) => bases.includes(image));
  if (asked.length === 0) return [];
  const sources = asked.map(({ source }) => source);
  const usage = await readUsage(await context.link.connection(), context.host, sources);
  return asked.filter(({ source }) => {
    const uses = usesOf(usage, source);
    const [use] = uses;
    if (use === undefined || !uses.every((each) => isOther(each, move))) return false;
    warn('copy-in-use', `${describeSource(source)} is kept: ${use.domain} uses it for ${use.disk} by now`);
    return true;
  });
}

function isOther({ uuid, disk }: Use, move: MoveRecord): boolean {
  return uuid !== move.domain.uuid || disk !== move.disk;
}

function journalPathOf(image: ImageRef): string {
  return copyJournalPath(filePath(image) ?? '');
}

/**
 * By its journal, the copy of a base is found again by the moves of the other disks that share it: until there is none.
 */
async function uselessJournals(scene: LayeredScene, what: 'overlays' | 'everything'): Promise<string[]> {
  const { context, move } = scene;
  const own = copyJournals(move);
  // A copy is no place that moves bring bases to.
  if (what === 'everything' || move.copy !== undefined) return own;
  const linked = sharedOf(move);
  const journals = [...own, ...linked.map(({ to }) => journalPathOf(to))];
  const sources = [...allLayers(layeredPart(move)), ...linked].map(({ from }) => from.source);
  const usage = await readUsage(await context.link.connection(), context.host, sources);
  const isShared = (at: number) => {
    const source = sources[at];
    if (source === undefined || sameSource(source, move.origin.source)) return false;
    return usesOf(usage, source).some((use) => isOther(use, move));
  };
  return journals.filter((_, at) => !isShared(at));
}

async function ours(scene: LayeredScene, images: readonly ImageRef[]): Promise<ImageRef[]> {
  const { context, observation } = scene;
  const claims = await Promise.all(images.map((image) => claimOf(context, image, observation.journal)));
  return images.filter((_, at) => isSomething(claims[at] ?? 'absent'));
}

/** @throws StepFailed when any definition refers to one of them */
export async function mustBeUnused(
  { context }: Pick<LayeredScene, 'context'>,
  images: readonly ImageRef[],
): Promise<void> {
  const connection = await context.link.connection();
  const sources = images.map(({ source }) => source);
  const usage = await readUsage(connection, context.host, sources);
  for (const source of sources) {
    const use = usesOf(usage, source)[0];
    if (use === undefined) continue;
    throw new StepFailed(
      'clear',
      `${describeSource(source)} is not removed: the ${use.definition} definition of ${use.domain} uses it for ${use.disk}`,
    );
  }
}
