// The domain at home, off, is defined on the overlays that its guest was on, unseen.
import { redefine } from '../../act/redefine.ts';
import { backingToTell } from '../../storage/chain-refs.ts';
import { StepImpossible } from '../errors.ts';
import { chainAt } from '../record.ts';
import { unseenOf } from '../unseen.ts';
import type { MigrationScene } from './scene.ts';

/**
 * Frozen were all disks, at one instant; but of those that go back one may be back already. May be repeated.
 *
 * @throws StepImpossible if it runs by now
 */
export async function defineHome({ pair, record, observation }: MigrationScene): Promise<void> {
  const { home } = observation;
  if (home === undefined) throw new StepImpossible('define-home', 'the domain is gone');
  const disks = [];
  for (const disk of record.disks) {
    const isOnIt = record.phase === 'freezing' || (await unseenOf(pair.home, disk, false)) === 'writes';
    const backing = backingToTell(chainAt(disk, 'home'));
    if (isOnIt) disks.push({ disk: disk.target, image: disk.overlay.home, backing });
  }
  if (await home.domain.isActive()) throw new StepImpossible('define-home', 'it was started at home');
  await redefine(pair.home, home.domain, disks);
}
