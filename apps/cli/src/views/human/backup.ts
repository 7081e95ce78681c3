// A backup or a restore for people: what it will be, progress, the end.
import type {
  BackupPreflight,
  BackupRecord,
  BackupReport,
  CheckedPoint,
  Restored,
  RestorePreflight,
  Stage,
  TpmPlan,
} from '@blockferry/engine';
import { quoteArgument } from '@blockferry/qemu';
import { type BackupResult, continuingBackupWords } from '../../outcome/backup-result.ts';
import type { Result } from '../../outcome/result.ts';
import type { Io } from '../../terminal/io.ts';
import type { BackupView } from '../backup-view.ts';
import { formatBytes, formatDuration } from '../format.ts';
import { checkedText } from '../points.ts';
import { errorLines, resultText } from './result.ts';
import { StatusLine } from './status-line.ts';

export class HumanBackupView implements BackupView {
  readonly #io: Io;
  readonly #status: StatusLine;
  #shown: Stage | undefined;

  constructor(io: Io) {
    this.#io = io;
    this.#status = new StatusLine(io);
  }

  plan(plan: BackupPreflight): void {
    this.#io.out(backupPlanText(plan));
    for (const { message } of plan.warnings) this.#status.line(`warning: ${message}`);
  }

  restorePlan(plan: RestorePreflight): void {
    this.#io.out(restorePlanText(plan));
  }

  continuing(record: BackupRecord): void {
    this.#status.line(continuingBackupWords(record));
  }

  report(report: BackupReport): void {
    if (report.type === 'warning') this.#status.line(`warning: ${report.message}`);
    if (report.type !== 'progress') return;
    const { stage, done: copied, total, rate, etaMs } = report;
    const progress = { type: 'progress', copied, total, rate, etaMs, guestWriteRate: undefined } as const;
    this.#status.show({ phase: stage, progress }, stage !== this.#shown);
    this.#shown = stage;
  }

  stopping(): void {
    this.#status.line('stopping; once more to stop at once');
  }

  backedUp(result: BackupResult): void {
    this.#status.clear();
    (result.error === undefined ? this.#io.out : this.#io.err)(backupResultText(result));
  }

  restored(restored: Restored): void {
    this.#status.clear();
    this.#io.out(restoredText(restored));
  }

  checked(points: readonly CheckedPoint[]): void {
    this.#status.clear();
    this.#io.out(checkedText(points));
  }

  failed(result: Result): void {
    this.#status.clear();
    this.#io.err(resultText(result));
  }
}

function backupPlanText({ record, bytes }: BackupPreflight): string {
  const { domain, kind, point, directory, parent, disks } = record;
  const lines = [
    `${domain.name}: ${kind} backup, about ${formatBytes(bytes)}`,
    ...disks.map(({ target, source, images }) => {
      const more = images.length === 1 ? '' : `, ${images.length} images`;
      const [{ secret }] = images;
      const locked = secret === undefined ? '' : `, in LUKS by the secret ${secret}`;
      return `  ${target}  ${source}${more}${locked}`;
    }),
    `  to  ${directory}/${point}`,
    ...(parent === undefined ? [] : [`  on  ${parent.point}`]),
  ];
  return `${lines.join('\n')}\n`;
}

function backupResultText(result: BackupResult): string {
  const { domain, directory, point, kind, bytes, durationMs, quiesced, checkpoint } = result;
  const lines = [headline(result)];
  if (result.outcome === 'done') {
    const size = bytes === undefined ? [] : [formatBytes(bytes)];
    const frozen = quiesced ? ['file systems frozen for the instant'] : [];
    const took = durationMs === undefined ? [] : [`took ${formatDuration(durationMs)}`];
    lines.push(`  ${[kind, ...size, ...frozen, ...took].join(', ')}`);
    if (checkpoint !== undefined && directory !== undefined && domain !== undefined) {
      const words = `blockferry backup ${quoteArgument(domain)} ${quoteArgument(directory)} --incremental`;
      lines.push(`  only what changes from now on: ${words}`);
    }
    if (point !== undefined && directory !== undefined) {
      lines.push(`  restore it: blockferry restore ${quoteArgument(directory)} --point ${point} --name NAME`);
    }
  }
  return `${[...lines, ...errorLines(result)].join('\n')}\n`;
}

function headline({ outcome, domain, directory, point }: BackupResult): string {
  const what = domain === undefined ? '' : ` ${domain}`;
  switch (outcome) {
    case 'done':
      return `backed up:${what} to ${directory}/${point}`;
    case 'back':
      return `undone: the backup of${what}; nothing of it is left`;
    case 'stopped':
      return `stopped: the backup of${what} is not complete yet`;
    case 'nothing':
      return 'nothing to do: no backup is open';
    default:
      return `${outcome}: the backup of${what} is not complete`;
  }
}

function restorePlanText({ plan, bytes, kept, chain }: RestorePreflight): string {
  const { name, point, disks, nvram, tpm, as } = plan;
  const what = as.kind === 'new' ? `${name}, a new domain` : name;
  const lines = [
    `restoring ${point} (${chain[0].time}) as ${what}: about ${formatBytes(bytes)}`,
    ...disks.map(({ target, path, format, secret }) => {
      return `  ${target}  ${path} (${format}${secret === undefined ? '' : ' in LUKS'}, new)`;
    }),
    ...(nvram === undefined ? [] : [`  firmware's variables  ${nvram} (new)`]),
    ...(tpm === undefined ? [] : [`  TPM's state  ${tpmText(tpm)}`]),
    ...(as.kind === 'over' ? [`  the definition of ${name} is replaced`] : []),
    ...kept.map((path) => `  kept: ${path}, which it leaves`),
  ];
  return `${lines.join('\n')}\n`;
}

function tpmText(tpm: TpmPlan): string {
  return tpm.kind === 'new'
    ? `${tpm.directory} (new)`
    : `${tpm.state} (replaced; what it was is kept: ${tpm.kept})`;
}

function restoredText({ plan, uuid, kept, durationMs }: Restored): string {
  const { name, disks, point, tpm } = plan;
  const images = kept.filter((path) => !disks.some((disk) => disk.path === path));
  const leaves = [...images, ...(tpm?.kind === 'replaced' ? [tpm.kept] : [])];
  const lines = [
    `restored: ${name} (${uuid}) as it was at ${point}`,
    ...disks.map(({ target, path }) => `  ${target}  ${path}`),
    `  compared with the backup, took ${formatDuration(durationMs)}`,
    ...(leaves.length === 0
      ? []
      : [`  once you no longer want what it was before: rm ${leaves.map(quoteArgument).join(' ')}`]),
    `  start it: virsh start ${quoteArgument(name)}`,
  ];
  return `${lines.join('\n')}\n`;
}
