// What every step of a backup works with.
import type { Host } from '@blockferry/qemu';
import type { Definitions } from '../observe/definitions.ts';
import type { Context } from '../run/context.ts';
import type { BackupMemory } from './memory.ts';
import type { BackupRecord } from './model.ts';
import { writeBackupRecord } from './record.ts';
import type { WorkOptions } from './report.ts';

export interface BackupScene extends WorkOptions {
  readonly context: Context;
  readonly host: Host;
  readonly record: BackupRecord;
  readonly definitions: Definitions | undefined;
  readonly memory: BackupMemory;
  /** Called after each step of the copies of a full backup. */
  readonly afterStep?: (step: string) => void;
}

/** The scene with this record, which is on disk when it returns. */
export async function recorded(scene: BackupScene, changed: BackupRecord): Promise<BackupScene> {
  const { host, definitions, record } = scene;
  const next = { ...changed, revision: record.revision + 1 };
  await writeBackupRecord(host, definitions, next);
  return { ...scene, record: next };
}

export function warn({ report }: BackupScene, code: string, message: string): void {
  report({ type: 'warning', code, message });
}

/** @throws Error where the domain was seen to be there, and is not */
export function domainOf({ definitions, record }: BackupScene): Definitions {
  if (definitions === undefined) throw new Error(`${record.domain.name} is gone`);
  return definitions;
}
