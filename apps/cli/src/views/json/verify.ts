// A comparison as JSON lines: progress, warning, result.
import type { Verified, VerifyReport } from '@blockferry/engine';
import { ExitCode } from '../../exit-code.ts';
import type { Result } from '../../outcome/result.ts';
import { percentOf } from '../format.ts';
import { differenceWords } from '../human/verify.ts';
import { formatLine } from './lines.ts';
import { errorObject } from './move.ts';

export class JsonVerifyView {
  readonly #write: (text: string) => void;
  readonly #uri: string | undefined;

  /** @param uri as given with -c, so that advised commands carry it */
  constructor(write: (text: string) => void, uri?: string) {
    this.#write = write;
    this.#uri = uri;
  }

  report(report: VerifyReport): void {
    const percent = report.type === 'progress' && { percent: percentOf(report.compared, report.total) };
    this.#write(formatLine({ ...report, ...percent }));
  }

  verified({ a, b, difference, durationMs }: Verified): void {
    const same = difference === undefined;
    const error = same
      ? undefined
      : { code: 'different', message: differenceWords(difference), hint: undefined };
    const exitCode = same ? ExitCode.DONE : ExitCode.FAILED;
    const outcome = same ? 'same' : 'different';
    this.#write(formatLine({ type: 'result', outcome, exitCode, a, b, difference, durationMs, error }));
  }

  failed({ outcome, exitCode, error }: Result): void {
    this.#write(formatLine({ type: 'result', outcome, exitCode, error: errorObject(error, this.#uri) }));
  }
}
