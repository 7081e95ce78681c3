// What a move says while it runs. The command line shows it; nothing here knows of terminals.

import type { GuardVerdict } from '../guard/index.ts';
import type { StepName, Wait } from '../model/decision.ts';
import type { Goal, Phase } from '../model/record.ts';
import type { Bytes, BytesPerSecond, Millis } from '../model/units.ts';

export type Report =
  | { readonly type: 'phase'; readonly phase: Phase; readonly goal: Goal }
  | { readonly type: 'step'; readonly step: StepName }
  /** The overlay grew while its layers were copied: it was frozen in its turn, and is copied too. */
  | { readonly type: 'round'; readonly round: number }
  | ProgressReport
  | { readonly type: 'waiting'; readonly wait: Wait }
  | { readonly type: 'warning'; readonly code: string; readonly message: string };

export interface ProgressReport {
  readonly type: 'progress';
  readonly copied: Bytes;
  readonly total: Bytes;
  /** Read back from the storage and compared; strategy `layered` only. */
  readonly verified?: Bytes;
  /** The same, with what was read of windows that are under way; strategy `layered` only, and only if it reads back. */
  readonly readBack?: Bytes;
  readonly readBackRate?: BytesPerSecond | undefined;
  /** What the guard does, and the guest's mean write latency in ms; strategy `layered` only. */
  readonly guard?: GuardVerdict;
  /** The destination is nearly full, or full: nothing is copied until there is room. Strategy `layered` only. */
  readonly space?: 'low' | 'full';
  readonly rate: BytesPerSecond | undefined;
  /** Of the copying; once all is copied, of the reading back. Unknown while the rate is, or while the guest writes as fast as the mirror copies. */
  readonly etaMs: Millis | undefined;
  readonly guestWriteRate: BytesPerSecond | undefined;
}
