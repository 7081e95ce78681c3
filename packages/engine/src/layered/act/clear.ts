// Removes what a layered move made and nobody uses any more.
import { describeSource } from '@blockferry/libvirt';
import { updateJournal } from '../../act/update-journal.ts';
import { StepFailed } from '../../model/errors.ts';
import type { ImageRef } from '../../model/record.ts';
import { readUsage, usesOf } from '../../observe/usage.ts';
import { claimOf, isSomething } from '../claims.ts';
import { copyJournals } from '../copies.ts';
import { layeredPart } from '../image-at.ts';
import { filePath, hostOf } from './files.ts';
import type { LayeredScene } from './layered-scene.ts';

/**
 * Overlay and carrier, or the copies too. May be repeated.
 *
 * @throws StepFailed when any definition refers to one of them: then none is removed
 */
export async function clear(scene: LayeredScene, what: 'overlays' | 'everything'): Promise<void> {
  const { move, observation } = scene;
  const { overlay, carrier, layers } = layeredPart(move);
  const copies = what === 'everything' ? layers.map(({ to }) => to) : [];
  const doomed = await ours(scene, [overlay, carrier, ...copies]);
  await mustBeUnused(scene, doomed);
  const host = hostOf(scene);
  const files = { ...observation.journal?.files };
  for (const path of doomed.map(filePath)) {
    if (path === undefined) continue;
    await host.unlink(path);
    delete files[path];
  }
  for (const path of copyJournals(move)) await host.unlink(path);
  if (observation.journal !== undefined) await updateJournal(scene, { ...observation.journal, files });
}

async function ours(scene: LayeredScene, images: readonly ImageRef[]): Promise<ImageRef[]> {
  const { context, observation } = scene;
  const claims = await Promise.all(images.map((image) => claimOf(context, image, observation.journal)));
  return images.filter((_, at) => isSomething(claims[at] ?? 'absent'));
}

async function mustBeUnused({ context }: LayeredScene, images: readonly ImageRef[]): Promise<void> {
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
