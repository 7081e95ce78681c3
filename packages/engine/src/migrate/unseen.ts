// What the overlays at home hold while the domain is not on them, as far as libvirt knows.
import { hasWriter } from '@blockferry/qemu';
import { unseenIn } from '../layered/unseen.ts';
import type { Unseen } from '../model/layered-world.ts';
import type { ImageRef } from '../model/record.ts';
import { toLocation } from '../storage/to-image.ts';
import { StepImpossible } from './errors.ts';
import type { OneSide } from './pair.ts';
import { type MigratedDisk, type MigrationRecord, pathOf } from './record.ts';
import type { AtHome } from './world.ts';

const WITHIN_MS = 30_000;

/**
 * What is true of any of them. Once it was decided to go back, those that were committed are still there, and the images below them
 * may have been written to since: that says nothing of the others.
 *
 * @throws StepImpossible when a QEMU writes to one that libvirt does not know to be in use; as unseenIn does
 */
export async function unseenAtHome(
  home: OneSide,
  { disks, phase }: MigrationRecord,
  atHome: AtHome,
): Promise<Unseen> {
  const running = atHome !== 'off';
  if (phase !== 'freezing' && (phase !== 'undoing' || running)) return 'nothing';
  const found = await Promise.all(disks.map((disk) => unseenOf(home, disk, running)));
  const telling = phase === 'freezing' ? (['both', 'writes'] as const) : (['writes'] as const);
  return telling.find((unseen) => found.includes(unseen)) ?? 'nothing';
}

export async function unseenOf(
  home: OneSide,
  { origin, overlay }: MigratedDisk,
  running: boolean,
): Promise<Unseen> {
  const unseen = await unseenIn(home, overlay.home, { below: origin, running });
  if (unseen !== 'nothing' && running) await mustHaveNoWriter(home, overlay.home);
  return unseen;
}

export async function mustHaveNoWriter({ host }: OneSide, overlay: ImageRef): Promise<void> {
  if ((await hasWriter(host, toLocation(overlay.source), WITHIN_MS)) === 'no') return;
  throw new StepImpossible(
    'freeze',
    `${pathOf(overlay)} is in use, and libvirt does not say by whom: perhaps another blockferry is at work`,
  );
}
