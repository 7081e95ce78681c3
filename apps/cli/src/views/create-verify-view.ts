// What `verify` shows, to people or to programs.
import type { Verified, VerifyReport } from '@blockferry/engine';
import type { Result } from '../outcome/result.ts';
import type { Io } from '../terminal/io.ts';
import { addressedIo } from './addressed.ts';
import { HumanVerifyView } from './human/verify.ts';
import { JsonVerifyView } from './json/verify.ts';

export interface VerifyView {
  report(report: VerifyReport): void;
  verified(verified: Verified): void;
  failed(result: Result): void;
}

/** @param uri as given with -c, so that advised commands carry it */
export function createVerifyView(io: Io, json: boolean, uri: string | undefined): VerifyView {
  return json ? new JsonVerifyView(io.out, uri) : new HumanVerifyView(addressedIo(io, uri));
}
