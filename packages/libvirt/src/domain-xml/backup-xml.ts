// The XML of backups and checkpoints, as virDomainBackupBegin and virDomainCheckpointCreateXML take it.
import { element, escapeXml } from './escape.ts';

export interface BackupTarget {
  /** Target dev of the disk. */
  readonly disk: string;
  /** An image file that is there: for the flag REUSE_EXTERNAL. */
  readonly path: string;
  readonly format: string;
  /** The <encryption> that it was made with (seen with libvirt 9.0: without it the target is taken for a plain one). */
  readonly encryption?: string;
}

/**
 * A push backup into files.
 *
 * @param since the checkpoint since which changes are copied; undefined: all of it
 * @param others every other disk of the domain: it takes no part
 * @throws DomainXmlError `unrepresentable` for a path XML cannot carry
 */
export function backupXml(
  targets: readonly BackupTarget[],
  others: readonly string[],
  since: string | undefined,
): string {
  const disks = targets.map(({ disk, path, format, encryption = '' }) => {
    const mode =
      since === undefined ? { backupmode: 'full' } : { backupmode: 'incremental', incremental: since };
    const inside = element('driver', { type: format }) + element('target', { file: path }, encryption);
    return element('disk', { name: disk, backup: 'yes', type: 'file', ...mode }, inside);
  });
  const rest = others.map((name) => element('disk', { name, backup: 'no' }));
  const incremental = since === undefined ? '' : element('incremental', {}, escapeXml(since));
  const content = incremental + element('disks', {}, [...disks, ...rest].join(''));
  return element('domainbackup', { mode: 'push' }, content);
}

/** A checkpoint of these disks, and of no other. @throws DomainXmlError `unrepresentable` */
export function checkpointXml(
  name: string,
  description: string,
  disks: readonly string[],
  others: readonly string[],
): string {
  const taken = disks.map((disk) => element('disk', { name: disk, checkpoint: 'bitmap' }));
  const rest = others.map((disk) => element('disk', { name: disk, checkpoint: 'no' }));
  return element(
    'domaincheckpoint',
    {},
    element('name', {}, escapeXml(name)) +
      element('description', {}, escapeXml(description)) +
      element('disks', {}, [...taken, ...rest].join('')),
  );
}
