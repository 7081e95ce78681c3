// What a full backup copies, and under which names.
import { describeSource } from '@blockferry/libvirt';
import { disksToMove } from '../preflight/group.ts';
import { findDisk } from '../preflight/situation.ts';
import type { BackupDisk } from './model.ts';
import type { BackupSituation, Foreseen } from './preflight-backup.ts';

/** @throws Refusal */
export async function foreseeFull({
  context,
  live,
  definitions,
  request,
}: BackupSituation): Promise<Foreseen> {
  const wanted =
    request.disks.length === 0
      ? { allTo: request.directory }
      : request.disks.map((disk) => ({ disk, destination: request.directory }));
  const { disks: named, leftOut } = await disksToMove(context, { domain: request.domain, disks: wanted });
  const disks = await Promise.all(
    named.map(async ({ disk: target }): Promise<BackupDisk> => {
      const disk = findDisk(live, target);
      const format = disk.driver.format ?? 'raw';
      if (disk.source === undefined) throw new Error('TEMP');
      const { capacity } = await definitions.domain.blockInfo(target);
      return {
        target,
        capacity,
        source: describeSource(disk.source),
        format,
        images: [{ path: `${target}.${format}`, format }],
      };
    }),
  );
  const raw = disks.find(({ format }) => format !== 'qcow2');
  return {
    disks,
    bytes: disks.reduce((sum, { capacity }) => sum + capacity, 0n),
    warnings: leftOut,
    ...(raw && { noCheckpoint: `${raw.target} is ${raw.format}, which keeps no record of what changed` }),
  };
}
