// The loop of a backup: look, decide, act, until it has ended. A backup that is picked up after a crash runs the same.
import { ErrorCode, isLibvirtError, LibvirtError } from '@blockferry/libvirt';
import { FileError, type Host, QemuImgError, QmpCommandError } from '@blockferry/qemu';
import { messageOf, Refusal } from '../model/errors.ts';
import type { Bytes, Millis } from '../model/units.ts';
import { Bell, ringFor } from '../run/bell.ts';
import type { Context } from '../run/context.ts';
import { isLinkLost, isMonitorLost, meansLookAgain } from '../run/link.ts';
import { Pace } from '../verify/pace.ts';
import { actBackup, giveUp } from './act.ts';
import { CopiesWentBack } from './copies.ts';
import { type BackupOutcome, type BackupStep, decideBackup } from './decide.ts';
import { type BackupMemory, newBackupMemory } from './memory.ts';
import type { BackupRecord, Manifest } from './model.ts';
import { type BackupSight, endingOf, observeBackup } from './observe.ts';
import { pointBeingMade, readPoints } from './points.ts';
import type { WorkOptions } from './report.ts';

const POLL_MS: Millis = 500;
/** As long as for a move. */
const AWAY_PATIENCE_MS: Millis = 60_000;

export interface BackupRunOptions extends WorkOptions {
  /** Called after each step of the backup, and of the copies that it is made of. Tests stop the process there. */
  readonly afterStep?: (step: string) => void;
}

export interface BackupEnded {
  /** `stopped`: between two steps, by the signal; `resume` goes on. */
  readonly outcome: BackupOutcome | { readonly kind: 'stopped' };
  readonly record: BackupRecord;
  /** Of a backup that is done. */
  readonly manifest: Manifest | undefined;
  readonly durationMs: Millis;
}

/**
 * Runs a backup from wherever it stands to its end. Its record must stand in the journal of its directory.
 *
 * @throws Refusal for what preflight of the copies says, with everything taken back; LibvirtError, FileError, HostError,
 *   QemuImgError: the record stands, and asking again continues. A connection that drops is waited for
 */
export async function runBackup(
  context: Context,
  host: Host,
  record: BackupRecord,
  options: BackupRunOptions,
): Promise<BackupEnded> {
  const run = new BackupRun(context, host, record, options);
  try {
    return await run.toItsEnd();
  } finally {
    await run.stop();
  }
}

class BackupRun {
  readonly #context: Context;
  readonly #host: Host;
  readonly #options: BackupRunOptions;
  readonly #memory: BackupMemory = newBackupMemory();
  readonly #bell = new Bell();
  readonly #began = performance.now();
  #record: BackupRecord;
  #listening: AsyncDisposable | undefined;
  #heard: unknown;
  #shown = '';
  #stumbles = 0;
  #pace: { readonly total: Bytes; readonly pace: Pace } | undefined;

  constructor(context: Context, host: Host, record: BackupRecord, options: BackupRunOptions) {
    this.#context = context;
    this.#host = host;
    this.#record = record;
    this.#options = options;
  }

  async toItsEnd(): Promise<BackupEnded> {
    for (;;) {
      if (this.#options.signal.aborted) return this.#ended({ kind: 'stopped' });
      try {
        const outcome = await this.#turn();
        if (outcome !== undefined) return await this.#ended(outcome);
      } catch (error) {
        await this.#overcome(error);
      }
    }
  }

  async stop(): Promise<void> {
    this.#memory.sums?.stop();
    this.#memory.arrival?.stop();
    await this.#listening?.[Symbol.asyncDispose]();
  }

  async #turn(): Promise<BackupOutcome | undefined> {
    await this.#listen();
    const sight = await observeBackup(
      this.#context,
      this.#host,
      this.#record,
      this.#memory,
      this.#options.signal,
    );
    if (sight === 'ended') return this.#endedElsewhere();
    this.#record = sight.record;
    this.#tell(sight);
    const decision = decideBackup(sight.world, sight.record);
    switch (decision.kind) {
      case 'wait':
        await this.#bell.wait(POLL_MS, this.#options.signal);
        return undefined;
      case 'act':
        return this.#act(sight, decision.step);
    }
  }

  async #act(sight: BackupSight, step: BackupStep): Promise<BackupOutcome | undefined> {
    const { report, signal, afterStep } = this.#options;
    report({ type: 'step', step: step.name });
    const { record, definitions } = sight;
    const scene = {
      ...{ context: this.#context, host: this.#host, record, definitions, memory: this.#memory },
      ...{ report, signal, ...(afterStep && { afterStep }) },
    };
    try {
      await actBackup(scene, step);
    } catch (error) {
      if (!meansGoingBack(step, error) || signal.aborted) throw error;
      this.#memory.cause = error;
      await giveUp(scene, messageOf(error));
    }
    afterStep?.(step.name);
    if (step.name !== 'close') return undefined;
    return sight.world.sealed ? { kind: 'done' } : { kind: 'back', why: record.reason };
  }

  /** A record that is gone was closed: by another blockferry, or by one that died right after. */
  async #endedElsewhere(): Promise<BackupOutcome> {
    return (await this.#manifest()) === undefined
      ? { kind: 'back', why: this.#record.reason }
      : { kind: 'done' };
  }

  async #manifest(): Promise<Manifest | undefined> {
    const points = await readPoints(this.#host, this.#record.directory);
    const point = pointBeingMade(points, this.#record.point);
    const isOurs = point?.kind === 'sealed' && point.manifest.id === this.#record.id;
    return isOurs ? point.manifest : undefined;
  }

  async #ended(outcome: BackupEnded['outcome']): Promise<BackupEnded> {
    if (outcome.kind === 'back' && this.#memory.cause instanceof Refusal) throw this.#memory.cause;
    const manifest = outcome.kind === 'done' ? await this.#manifest() : undefined;
    return { outcome, record: this.#record, manifest, durationMs: performance.now() - this.#began };
  }

  /** On the connection that is in use now. */
  async #listen(): Promise<void> {
    const connection = await this.#context.link.connection();
    if (this.#heard === connection) return;
    const [ends, lifecycle] = await Promise.all([
      connection.subscribe('jobCompleted'),
      connection.subscribe('lifecycle'),
    ]);
    this.#heard = connection;
    this.#listening = ends;
    void ringFor(this.#bell, ends, ({ domain, params }) => {
      if (domain.uuid !== this.#record.domain.uuid || this.#memory.jobSeen === undefined) return;
      if (params.operation === BACKUP_OPERATION) this.#memory.witnessed = endingOf(params);
    });
    void ringFor(this.#bell, lifecycle);
  }

  #tell({ record, progress }: BackupSight): void {
    const { report } = this.#options;
    const phase = record.goal === 'abort' ? 'undoing' : record.phase;
    if (phase !== this.#shown) report({ type: 'phase', phase });
    this.#shown = phase;
    if (progress === undefined) return;
    const { done, total } = progress;
    if (this.#pace?.total !== total) this.#pace = { total, pace: new Pace(total) };
    report({ type: 'progress', stage: 'copying', ...this.#pace.pace.at(done) });
  }

  /** A link that dropped is waited for; everything else ends the run, and the record stands. */
  async #overcome(error: unknown): Promise<void> {
    const { signal, report } = this.#options;
    if (!signal.aborted && isOfStateSeen(error) && this.#stumbles++ < MOST_STUMBLES) {
      await this.#bell.wait(POLL_MS, signal);
      return;
    }
    if (signal.aborted || !meansLookAgain(error)) throw error;
    if (isLinkLost(error)) {
      report({ type: 'warning', code: 'daemon-away', message: 'libvirtd is away; waiting for it' });
    }
    await this.#context.link.reconnect(AWAY_PATIENCE_MS, signal);
  }
}

/** A domain that ends between the look and the step: the next look sees it. */
function isOfStateSeen(error: unknown): boolean {
  const codes = [ErrorCode.OPERATION_INVALID, ErrorCode.NO_DOMAIN];
  return isMonitorLost(error) || codes.some((code) => isLibvirtError(error, code));
}

/** That often it is no coincidence. */
const MOST_STUMBLES = 10;

/** virDomainJobOperation */
const BACKUP_OPERATION = 9;

/** Steps that begin something: what cannot be begun is taken back. What is complete is kept, to go on with. */
const BEGINNINGS: readonly BackupStep['name'][] = ['prepare', 'make-checkpoint', 'begin-increment', 'copy'];

function meansGoingBack({ name }: BackupStep, error: unknown): boolean {
  if (!BEGINNINGS.includes(name) || meansLookAgain(error) || isMonitorLost(error)) return false;
  return [Refusal, LibvirtError, FileError, QemuImgError, QmpCommandError, CopiesWentBack].some(
    (kind) => error instanceof kind,
  );
}
