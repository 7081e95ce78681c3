// Options that are given anew for a migration that is open: what it was begun with may be why it does not end.
import type { GuardBound } from '../model/guard-bound.ts';
import type { BytesPerSecond } from '../model/units.ts';
import { formatWithBigints } from '../record/serialise.ts';
import type { MigrationOptions, TlsOption } from './record.ts';

/** What is absent stays as it is recorded; `off` takes it away. */
export interface NewOptions {
  readonly verify?: boolean;
  readonly guard?: GuardBound | 'off';
  readonly bandwidth?: BytesPerSecond | 'off';
  readonly migrateUri?: string;
  readonly autoConverge?: boolean;
  readonly tls?: TlsOption;
}

/** Pure. Undefined: they are so already. */
export function withNewOptions(recorded: MigrationOptions, asked: NewOptions): MigrationOptions | undefined {
  const { guard: oldGuard, bandwidth: oldBandwidth, ...others } = recorded;
  const { guard: newGuard = oldGuard, bandwidth: newBandwidth = oldBandwidth, ...changed } = asked;
  const options: MigrationOptions = {
    ...others,
    ...(newGuard !== undefined && newGuard !== 'off' && { guard: newGuard }),
    ...(newBandwidth !== undefined && newBandwidth !== 'off' && { bandwidth: newBandwidth }),
    ...changed,
  };
  const text = (of: MigrationOptions) => formatWithBigints(Object.entries(of).toSorted());
  return text(options) === text(recorded) ? undefined : options;
}
