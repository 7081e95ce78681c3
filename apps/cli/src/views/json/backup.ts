// A backup or a restore as JSON lines: plan, phase, step, progress, warning, result.
import type {
  BackupPreflight,
  BackupRecord,
  BackupReport,
  CheckedPoint,
  Restored,
  RestorePreflight,
  TpmPlan,
} from '@blockferry/engine';
import { ExitCode } from '../../exit-code.ts';
import { type BackupResult, continuingBackupWords } from '../../outcome/backup-result.ts';
import type { Result } from '../../outcome/result.ts';
import { addressed } from '../addressed.ts';
import type { BackupView } from '../backup-view.ts';
import { percentOf } from '../format.ts';
import { checkedLine } from '../points.ts';
import { formatLine } from './lines.ts';
import { errorObject } from './move.ts';

export class JsonBackupView implements BackupView {
  readonly #write: (text: string) => void;
  readonly #uri: string | undefined;

  /** @param uri as given with -c, so that advised commands carry it */
  constructor(write: (text: string) => void, uri?: string) {
    this.#write = write;
    this.#uri = uri;
  }

  plan({ record, bytes, warnings }: BackupPreflight): void {
    const { domain, directory, point, kind, parent, checkpoint, disks } = record;
    const plan = { domain: domain.name, directory, point, kind, parent: parent?.point, checkpoint, bytes };
    this.#write(
      formatLine({
        type: 'plan',
        ...plan,
        disks: disks.map(({ target, source, format, capacity, images }) => {
          return { target, source, format, capacity, images };
        }),
      }),
    );
    for (const { code, message } of warnings) this.#warn(code, message);
  }

  restorePlan({ plan, bytes, kept, chain, warnings }: RestorePreflight): void {
    const { directory, point, name, as, disks, nvram } = plan;
    const tpm = plan.tpm && tpmLine(plan.tpm);
    const points = chain.map((each) => each.point);
    const line = { directory, point, points, domain: name, as: as.kind, disks, nvram, tpm, bytes, kept };
    this.#write(formatLine({ type: 'plan', ...line }));
    for (const { code, message } of warnings) this.#warn(code, message);
  }

  continuing(record: BackupRecord): void {
    this.#warn('continuing', continuingBackupWords(record));
  }

  report(report: BackupReport): void {
    if (report.type === 'warning') {
      this.#warn(report.code, report.message);
      return;
    }
    const percent = report.type === 'progress' && { percent: percentOf(report.done, report.total) };
    this.#write(formatLine({ ...report, ...percent }));
  }

  stopping(): void {}

  backedUp({ error, ...result }: BackupResult): void {
    this.#write(formatLine({ type: 'result', ...result, error: errorObject(error, this.#uri) }));
  }

  restored({ plan, uuid, kept, bytes, durationMs }: Restored): void {
    const { directory, point, name, disks, nvram } = plan;
    const tpm = plan.tpm && tpmLine(plan.tpm);
    const restored = { domain: name, uuid, directory, point, disks, nvram, tpm, kept, bytes, durationMs };
    this.#write(
      formatLine({ type: 'result', outcome: 'done', exitCode: ExitCode.DONE, ...restored, error: undefined }),
    );
  }

  checked(points: readonly CheckedPoint[], exitCode: ExitCode): void {
    for (const point of points) this.#write(formatLine(checkedLine(point)));
    const outcome = exitCode === ExitCode.DONE ? 'done' : 'failed';
    const bad = points.filter(({ problems }) => problems.length > 0).map(({ point }) => point);
    const error =
      bad.length === 0 ? undefined : { code: 'point-broken', message: bad.join(', '), hint: undefined };
    this.#write(formatLine({ type: 'result', outcome, exitCode, error }));
  }

  failed({ outcome, exitCode, error }: Result): void {
    this.#write(formatLine({ type: 'result', outcome, exitCode, error: errorObject(error, this.#uri) }));
  }

  #warn(code: string, message: string): void {
    this.#write(formatLine({ type: 'warning', code, message: addressed(message, this.#uri) }));
  }
}

function tpmLine(tpm: TpmPlan) {
  return tpm.kind === 'new' ? { path: tpm.directory } : { path: tpm.state, kept: tpm.kept };
}
