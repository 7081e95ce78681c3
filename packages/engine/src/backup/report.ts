// What a backup, or a restore, says while it runs.
import type { Bytes, BytesPerSecond, Millis } from '../model/units.ts';

export type Stage = 'copying' | 'summing' | 'checking' | 'restoring' | 'comparing';

export type BackupReport =
  | { readonly type: 'phase'; readonly phase: string }
  | { readonly type: 'step'; readonly step: string }
  | {
      readonly type: 'progress';
      readonly stage: Stage;
      readonly done: Bytes;
      readonly total: Bytes;
      readonly rate: BytesPerSecond | undefined;
      readonly etaMs: Millis | undefined;
    }
  | { readonly type: 'warning'; readonly code: string; readonly message: string };

export interface WorkOptions {
  readonly signal: AbortSignal;
  readonly report: (report: BackupReport) => void;
}
