// A backup under way, to people and to programs.
import type { BackupRecord } from '@blockferry/engine';
import { goOnHint } from '../outcome/backup-result.ts';
import type { JsonLine } from './json/lines.ts';

export function backupStatusText(record: BackupRecord): string {
  const { domain, directory, point, kind, phase, goal, disks } = record;
  const state = goal === 'abort' ? 'undoing' : phase;
  const lines = [
    `${domain.name}: ${kind} backup, ${state}`,
    `  of  ${disks.map(({ target }) => target).join(', ')}`,
    `  to  ${directory}/${point}`,
    ...goOnHint(record)
      .replace('go on:', 'go on, if no blockferry does:')
      .split('\n')
      .map((advice) => `  → ${advice}`),
  ];
  return `${lines.join('\n')}\n`;
}

export function backupLine(record: BackupRecord): JsonLine {
  const { id, domain, directory, point, kind, phase, goal, disks, checkpoint } = record;
  const targets = disks.map(({ target }) => target);
  return {
    type: 'backup',
    ...{ id, domain: domain.name, directory, point, kind, phase, goal, disks: targets, checkpoint },
  };
}
