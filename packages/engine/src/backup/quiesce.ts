// The guest's file systems, frozen through its agent for the instant of an increment, and thawed whatever happens.
import { LibvirtError } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { isUntried, thawPatiently as untilThawed, whyNotFrozen } from '../layered/act/quiesce.ts';
import { Refusal } from '../model/errors.ts';
import type { BackupRecord } from './model.ts';
import { type BackupScene, domainOf, recorded, warn } from './scene.ts';

/**
 * Writes the intent, freezes, acts, thaws. A crash in between leaves the file systems frozen, and the record says so: the
 * next look thaws them. If somebody else has frozen them, they stay so.
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
  const failed = await freeze(intended);
  const theirs = failed !== undefined && isUntried(failed);
  // By the record, whoever goes on would thaw.
  const begun = theirs ? await recorded(intended, unfrozen(intended.record)) : intended;
  try {
    if (failed !== undefined) mayDoWithout(begun, failed);
    await act();
  } finally {
    if (!theirs) await thawPatiently(begun);
  }
  return recorded(begun, { ...unfrozen(begun.record), ...(failed === undefined && { quiesced: true }) });
}

function unfrozen({ frozen: _, ...record }: BackupRecord): BackupRecord {
  return record;
}

/** A crash left them frozen, perhaps: thaws what is, and takes the intent out of the record. May be repeated. */
export async function thaw(scene: BackupScene): Promise<void> {
  if (scene.definitions?.running) await thawPatiently(scene);
  await recorded(scene, unfrozen(scene.record));
}

/** An agent of a guest that is paused does not answer. */
function mayFreeze(scene: BackupScene): boolean {
  const { live, paused } = domainOf(scene);
  const { quiesce } = scene.record;
  if (quiesce === 'off') return false;
  return quiesce === 'require' || (live?.agentConnected === true && !paused);
}

/** Returns why not. */
async function freeze(scene: BackupScene): Promise<LibvirtError | undefined> {
  const { domain } = domainOf(scene);
  try {
    await domain.fsFreeze();
    return undefined;
  } catch (error) {
    if (!(error instanceof LibvirtError)) {
      await thawPatiently(scene);
      throw error;
    }
    // A freeze that timed out may still happen.
    if (!isUntried(error)) await domain.fsThaw().catch(() => {});
    return error;
  }
}

/** @throws Refusal `not-quiesced` */
function mayDoWithout(scene: BackupScene, failed: LibvirtError): void {
  const why = whyNotFrozen(failed, scene.record.domain.name);
  if (scene.record.quiesce === 'require') throw notQuiesced(scene.record, why, failed);
  warn(scene, 'not-quiesced', `${why}: the backup is one as after a power failure`);
}

function notQuiesced({ domain }: Pick<BackupRecord, 'domain'>, why: string, cause: unknown): Refusal {
  const hint = 'leave --quiesce require out: the backup is then one as after a power failure';
  return new Refusal('not-quiesced', `${domain.name}: ${why}`, {}, hint, { cause });
}

async function thawPatiently(scene: BackupScene): Promise<void> {
  const { domain } = domainOf(scene);
  const failed = await untilThawed(domain);
  if (failed === undefined) return;
  const hint = `virsh domfsthaw ${quoteArgument(scene.record.domain.name)}`;
  warn(scene, 'not-thawed', `the guest's file systems may still be frozen (${failed}): ${hint}`);
}
