// Takes the names of the copies at the destination: each name is taken empty and journaled before it is used.
import { likeFile } from '../../act/claim-destination.ts';
import { takeName } from '../../act/take-name.ts';
import type { FileIdentity } from '../../record/journal.ts';
import { StepImpossible } from '../errors.ts';
import { copiesOf, pathOf } from '../record.ts';
import { record } from './record.ts';
import type { MigrationScene } from './scene.ts';

/**
 * A crash between making a file and journaling it leaves an empty one, which is taken the next time. libvirt gives the files
 * to QEMU's user when the domain comes, as it does with those of any domain that starts.
 *
 * @throws StepImpossible when somebody else's file stands there
 */
export async function claim(scene: MigrationScene): Promise<void> {
  const { pair, observation } = scene;
  const { host } = pair.away;
  const { mode } = await likeFile(pair.home.host, scene.record.disks[0].origin.source);
  const files: Record<string, FileIdentity> = { ...observation.journal?.files };
  for (const path of copiesOf(scene.record).map(pathOf)) {
    if (files[path] !== undefined && (await host.stat(path)) !== null) continue;
    files[path] = await takeName(host, path, { mode, owner: undefined }, failed);
  }
  await record(scene, files);
}

function failed(message: string, options?: ErrorOptions): StepImpossible {
  return new StepImpossible('claim', message, options);
}
