// What an operator asks for, before anything of it has been looked at.
import type { GuardBound } from '../model/guard-bound.ts';
import type { BytesPerSecond } from '../model/units.ts';
import type { TlsOption } from './record.ts';

export interface MigrationRequest {
  /** Name or UUID. */
  readonly domain: string;
  /** The domain is off, and to be off there. */
  readonly offline: boolean;
  /** Where all copies go; undefined: to the paths that the images have at home. */
  readonly destinationDirectory?: string;
  readonly verify: boolean;
  readonly guard?: GuardBound;
  readonly bandwidth?: BytesPerSecond;
  readonly migrateUri?: string;
  readonly autoConverge: boolean;
  readonly tls?: TlsOption;
}
