// What a command on a migration shows: for people or for programs.
import {
  type MigrationPreflight,
  type MigrationRecord,
  type MigrationReport,
  migrationSteps,
  type ProgressReport,
  unreachable,
} from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import type { MigrationResult } from '../outcome/migration.ts';
import type { Io } from '../terminal/io.ts';
import { addressed, addressedIo } from './addressed.ts';
import {
  continuingMigration,
  migrationPlanText,
  migrationResultText,
  type UnclearMigration,
} from './human/migration.ts';
import { StatusLine } from './human/status-line.ts';
import { formatLine, type JsonLine } from './json/lines.ts';
import { errorObject } from './json/move.ts';
import { reportLine } from './json/report.ts';

export interface MigrationView {
  plan(plan: MigrationPreflight, withSteps: boolean): void;
  continuing(record: MigrationRecord): void;
  report(report: MigrationReport): void;
  stopping(): void;
  result(result: MigrationResult): void;
}

/** @param uri as given with -c, so that advised commands carry it */
export function createMigrationView(io: Io, json: boolean, uri: string | undefined): MigrationView {
  return json ? new JsonMigrationView(io.out, uri) : new HumanMigrationView(addressedIo(io, uri));
}

/** An open migration. */
export function migrationLine(record: MigrationRecord, atWork: boolean | undefined): JsonLine {
  const { domain, id, home, away, mode, phase, goal } = record;
  const disks = record.disks.map(({ target, origin, layers }) => ({
    disk: target,
    source: describeSource(origin.source),
    destination: describeSource(layers[0].to.source),
  }));
  return { type: 'migration', domain: domain.name, id, home, away, mode, phase, goal, disks, atWork };
}

/** One of which there is a note of ours, and no more. */
export function unclearMigrationLine({ note, why }: UnclearMigration): JsonLine {
  const { domain, home, away } = note;
  return { type: 'warning', code: 'migration-unclear', domain: domain.name, home, away, message: why };
}

class HumanMigrationView implements MigrationView {
  readonly #io: Io;
  readonly #status: StatusLine;
  #phase = 'starting';
  #progress: ProgressReport | undefined;

  constructor(io: Io) {
    this.#io = io;
    this.#status = new StatusLine(io);
  }

  plan(plan: MigrationPreflight, withSteps: boolean): void {
    this.#io.out(migrationPlanText(plan, withSteps));
    for (const { message } of plan.warnings) this.#status.line(`warning: ${message}`);
  }

  continuing(record: MigrationRecord): void {
    this.#phase = record.phase;
    this.#status.line(continuingMigration(record));
  }

  report(report: MigrationReport): void {
    switch (report.type) {
      case 'phase':
        this.#phase = report.phase;
        this.#progress = undefined;
        this.#status.show({ phase: this.#phase, progress: undefined }, true);
        return;
      case 'progress':
        this.#progress = report;
        this.#status.show({ phase: this.#phase, progress: this.#progress }, false);
        return;
      case 'warning':
        this.#status.line(`warning: ${report.message}`);
        return;
      case 'step':
      case 'waiting':
        return;
      default:
        unreachable(report);
    }
  }

  stopping(): void {
    this.#status.line('stopping; once more to stop at once');
  }

  result(result: MigrationResult): void {
    this.#status.clear();
    (result.error === undefined ? this.#io.out : this.#io.err)(migrationResultText(result));
  }
}

class JsonMigrationView implements MigrationView {
  readonly #write: (text: string) => void;
  readonly #uri: string | undefined;
  #domain: string | undefined;

  constructor(write: (text: string) => void, uri: string | undefined) {
    this.#write = write;
    this.#uri = uri;
  }

  plan({ record, bytes, warnings }: MigrationPreflight): void {
    this.#domain = record.domain.name;
    const { id, home, away, mode } = record;
    const disks = record.disks.map(({ target, origin, layers, shared }) => ({
      disk: target,
      source: describeSource(origin.source),
      destination: describeSource(layers[0].to.source),
      images: layers.length,
      shared: shared.map(({ to }) => describeSource(to.source)),
    }));
    this.#say({ type: 'migration-plan', id, home, away, mode, bytes, disks, steps: migrationSteps(record) });
    for (const { code, message } of warnings) {
      this.#say({ type: 'warning', code, message: addressed(message, this.#uri) });
    }
  }

  continuing(record: MigrationRecord): void {
    this.#domain = record.domain.name;
    this.#say({ type: 'warning', code: 'continuing', message: continuingMigration(record) });
  }

  report(report: MigrationReport): void {
    const line = reportLine(report, this.#uri);
    if (line !== undefined) this.#say(line);
  }

  stopping(): void {}

  result({ outcome, exitCode, error, ...rest }: MigrationResult): void {
    const shown = { outcome, exitCode, ...rest, error: errorObject(error, this.#uri) };
    this.#write(formatLine({ type: 'result', ...shown }));
  }

  #say({ type, ...rest }: JsonLine): void {
    this.#write(formatLine({ type, domain: this.#domain, ...rest }));
  }
}
