// A backup under way, to people and to programs.
import type { BackupRecord } from '@blockferry/engine';
import { backupCommands } from '../outcome/backup-result.ts';
import { atWorkWords, goOnWords } from './human/status.ts';
import type { JsonLine } from './json/lines.ts';

export function backupStatusText(record: BackupRecord, atWork: boolean | undefined): string {
  const { domain, directory, point, kind, phase, goal, disks } = record;
  const { resume, undo } = backupCommands(record);
  const state = goal === 'abort' ? 'undoing' : phase;
  const lines = [
    `${domain.name}: ${kind} backup, ${state}${atWorkWords(atWork)}`,
    `  of  ${disks.map(({ target }) => target).join(', ')}`,
    `  to  ${directory}/${point}`,
    ...goOnWords(atWork, resume).map((advice) => `  → ${advice}`),
    `  → undo: ${undo}`,
  ];
  return `${lines.join('\n')}\n`;
}

export function backupLine(record: BackupRecord, atWork: boolean | undefined): JsonLine {
  const { id, domain, directory, point, kind, phase, goal, disks, checkpoint } = record;
  const targets = disks.map(({ target }) => target);
  return {
    type: 'backup',
    ...{ id, domain: domain.name, directory, point, kind, phase, goal, disks: targets, checkpoint },
    atWork,
  };
}
