// Checkpoints of an idle domain, put to use: writes that bitmaps see, and what a backup since a checkpoint holds.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';
import { until } from '../process/until.ts';

const DEVICE = '/machine/peripheral/virtio-disk0/virtio-backend';

/**
 * Writes 64 KiB of `pattern` at this MiB of vda and flushes it, through the machine's own block device as a guest would.
 * @throws {Error} with QEMU's words when it does not.
 */
export async function writeAsGuest(
  host: LibvirtHost,
  domain: string,
  offsetMiB: number,
  pattern = 42,
): Promise<void> {
  for (const command of [`write -P ${pattern} ${offsetMiB}M 64k`, 'flush']) {
    const said = await host.virsh(
      ...['qemu-monitor-command', '--hmp', domain, `qemu-io -d ${DEVICE} "${command}"`],
    );
    if (said.trim() !== '') throw new Error(said);
  }
}

/**
 * The offsets, in MiB, at which a plain `virsh backup-begin` of vda since the checkpoint finds changes.
 * @throws {RunError} when libvirt refuses the backup.
 */
export async function backupSince(
  host: LibvirtHost,
  domain: string,
  checkpoint: string,
): Promise<readonly number[]> {
  const file = join(host.directory, 'guest', 'backup.xml');
  const target = join(host.imagesDir, `backup-of-${domain}`);
  const disk = `<disk name='vda' type='file'><driver type='qcow2'/><target file='${target}'/></disk>`;
  const xml = `<domainbackup><incremental>${checkpoint}</incremental><disks>${disk}</disks></domainbackup>`;
  await writeFile(file, xml);
  await host.virsh('backup-begin', domain, file);
  await until('the end of the backup', async () =>
    (await host.virsh('domjobinfo', domain)).includes('None') ? true : undefined,
  );
  const json = { driver: 'qcow2', backing: null, file: { driver: 'file', filename: target } };
  const { stdout } = await run(['qemu-img', 'map', '--output=json', `json:${JSON.stringify(json)}`]);
  await rm(target);
  const extents = JSON.parse(stdout) as readonly { readonly start: number; readonly present: boolean }[];
  return extents.filter(({ present }) => present).map(({ start }) => start / 2 ** 20);
}
