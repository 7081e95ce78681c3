// The guest's file systems, frozen through its agent for the instant of an increment, and thawed whatever happens.
import { LibvirtError } from '@blockferry/libvirt';
import { thawPatiently as untilThawed } from '../layered/act/quiesce.ts';
import { messageOf, Refusal } from '../model/errors.ts';
import type { BackupRecord } from './model.ts';
import { type BackupScene, domainOf, recorded, warn } from './scene.ts';

/**
 * Writes the intent, freezes, acts, thaws. A crash in between leaves the file systems frozen, and the record says so: the
 * next look thaws them.
 *
 * @returns the scene with the record as it is then
 * @throws Refusal `not-quiesced` where they had to be frozen and could not be; what `act` throws, when they are thawed
 */
export async function withFrozenGuest(scene: BackupScene, act: () => Promise<void>): Promise<BackupScene> {
  if (!mayFreeze(scene)) {
    await act();
    return scene;
  }
  const intended = await recorded(scene, { ...scene.record, frozen: true });
  let quiesced = false;
  try {
    quiesced = await freeze(intended);
    await act();
  } finally {
    await thawPatiently(intended);
  }
  const { frozen: _, ...record } = intended.record;
  return recorded(intended, { ...record, ...(quiesced && { quiesced }) });
}

/** A crash left them frozen, perhaps: thaws what is, and takes the intent out of the record. May be repeated. */
export async function thaw(scene: BackupScene): Promise<void> {
  if (scene.definitions?.running) await thawPatiently(scene);
  const { frozen: _, ...record } = scene.record;
  await recorded(scene, record);
}

/** An agent of a guest that is paused does not answer. */
function mayFreeze(scene: BackupScene): boolean {
  const { live, paused } = domainOf(scene);
  const { quiesce } = scene.record;
  if (quiesce === 'off') return false;
  return quiesce === 'require' || (live?.agentConnected === true && !paused);
}

async function freeze(scene: BackupScene): Promise<boolean> {
  try {
    await domainOf(scene).domain.fsFreeze();
    return true;
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    const why = `the guest's file systems could not be frozen (${messageOf(error)})`;
    if (scene.record.quiesce === 'require') throw notQuiesced(scene.record, why, error);
    warn(scene, 'not-quiesced', `${why}: the backup is one as after a power failure`);
    // A freeze that timed out may still happen.
    await domainOf(scene)
      .domain.fsThaw()
      .catch(() => {});
    return false;
  }
}

function notQuiesced({ domain }: Pick<BackupRecord, 'domain'>, why: string, cause: unknown): Refusal {
  const hint = 'leave --quiesce require out: the backup is then one as after a power failure';
  return new Refusal('not-quiesced', `${domain.name}: ${why}`, {}, hint, { cause });
}

async function thawPatiently(scene: BackupScene): Promise<void> {
  const { domain } = domainOf(scene);
  const failed = await untilThawed(domain);
  if (failed === undefined) return;
  const hint = `virsh domfsthaw ${scene.record.domain.name}`;
  warn(scene, 'not-thawed', `the guest's file systems may still be frozen (${failed}): ${hint}`);
}
