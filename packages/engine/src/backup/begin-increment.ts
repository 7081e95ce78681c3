// Orders an increment of libvirt, with the checkpoint for the next one, at an instant at which the guest's file systems
// are frozen if that can be.
import { join } from 'node:path';
import { backupXml, checkpointXml, DomainBackupBeginFlags, type DomainXml } from '@blockferry/libvirt';
import { watchArrival } from './arrival.ts';
import { copyWhileOff } from './copy-while-off.ts';
import { pointPath } from './layout.ts';
import { encryptionBy } from './locked.ts';
import type { BackupRecord } from './model.ts';
import { withFrozenGuest } from './quiesce.ts';
import { type BackupScene, domainOf, recorded } from './scene.ts';

/**
 * virDomainBackupBegin makes the checkpoint and begins the copy in one transaction, of all disks at one instant. The job
 * goes on in QEMU whatever becomes of us and of libvirtd. A crash before it returns leaves nothing, or the job and the
 * checkpoint, or the checkpoint alone if the job is over.
 *
 * @throws LibvirtError when it was not begun; Refusal `not-quiesced`
 */
export async function beginIncrement(scene: BackupScene): Promise<void> {
  const { record, memory } = scene;
  if (!record.running) return copyWhileOff(scene);
  const { domain, live } = domainOf(scene);
  if (live === undefined) throw new Error('an increment of a domain that runs');
  const { backup, checkpoint } = xmlFor(record, live);
  await watchArrival(scene);
  const begun = await withFrozenGuest(scene, async () => {
    await domain.backupBegin(backup, checkpoint, DomainBackupBeginFlags.REUSE_EXTERNAL);
    memory.jobSeen = performance.now();
  });
  await recorded(begun, { ...begun.record, phase: 'copying' });
}

/** The checkpoint that a full backup is followed by: made before the instant of the copies. May be repeated. */
export async function makeCheckpoint(scene: BackupScene): Promise<void> {
  const { domain, live } = domainOf(scene);
  if (live === undefined) throw new Error('a checkpoint of a domain that runs');
  const { checkpoint } = xmlFor(scene.record, live);
  if (checkpoint !== null) await domain.checkpointCreateXml(checkpoint);
}

interface Orders {
  readonly backup: string;
  readonly checkpoint: string | null;
}

function xmlFor({ directory, point, disks, parent, checkpoint }: BackupRecord, live: DomainXml): Orders {
  const targets = disks.map(({ target, images: [image] }) => ({
    disk: target,
    path: join(pointPath(directory, point), image.path),
    format: image.format,
    ...(image.secret !== undefined && { encryption: encryptionBy(image.secret) }),
  }));
  const taken = targets.map(({ disk }) => disk);
  const others = live.disks().flatMap(({ target }) => (taken.includes(target) ? [] : [target]));
  const description = `blockferry: ${join(directory, point)}`;
  return {
    backup: backupXml(targets, others, parent?.checkpoint),
    checkpoint: checkpoint === undefined ? null : checkpointXml(checkpoint, description, taken, others),
  };
}
