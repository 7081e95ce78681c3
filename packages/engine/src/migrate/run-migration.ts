// The loop of a migration: look at both hosts, decide, act, until it has ended. There is no other path for recovery.
import { ErrorCode, isLibvirtError } from '@blockferry/libvirt';
import { messageOf } from '../model/errors.ts';
import type { Bytes, Millis } from '../model/units.ts';
import { unreachable } from '../model/units.ts';
import { AtWork } from '../run/at-work.ts';
import { beginAlone } from '../run/begin-alone.ts';
import { Bell } from '../run/bell.ts';
import { isHostLost, isLinkLost, meansLookAgain } from '../run/link.ts';
import { roomWords } from '../run/warnings.ts';
import { SpaceWatch } from '../space/watch.ts';
import { actMigration } from './act/act.ts';
import { commitBack } from './commit-back.ts';
import { decideMigration } from './decide.ts';
import { CommitHeld, Overtaken } from './errors.ts';
import { type MigrationMemory, newMigrationMemory } from './memory.ts';
import { type NewOptions, withNewOptions } from './new-options.ts';
import { type MigrationObservation, observeMigration } from './observe.ts';
import type { Pair } from './pair.ts';
import { MigrationProgress } from './progress.ts';
import type { MigrationOptions, MigrationRecord } from './record.ts';
import type { MigrationReport } from './report.ts';
import { wishPath } from './store.ts';
import type { MigrationDecision, MigrationOutcome, MigrationQuestion } from './world.ts';

const POLL_MS = 500;
/** How long a daemon, or the way to its machine, may be away before the migration stops waiting; it stays resumable. */
const AWAY_PATIENCE_MS = 60_000;

export interface MigrationRunOptions {
  /** The record stands on the hosts already: where it does not, another blockferry has ended it. Default false. */
  readonly recorded?: boolean;
  /** Of one that is recorded: options that it is to go on with. Default: as recorded. */
  readonly newOptions?: NewOptions;
  /** Another blockferry that carries it out has been told to go back, and is waited for. Default false: refused. */
  readonly waits?: boolean;
  readonly signal: AbortSignal;
  readonly report: (report: MigrationReport) => void;
  /** Called after each step, and after each part of one, has been carried out. Tests stop the process there. */
  readonly afterStep?: (step: string) => void;
}

export interface MigrationEnded {
  readonly ending:
    | MigrationOutcome
    | { readonly kind: 'ask'; readonly question: MigrationQuestion | 'which-side' }
    | { readonly kind: 'stopped' };
  readonly record: MigrationRecord;
  readonly durationMs: Millis;
  /** The guest stood still so long while it changed hosts; undefined if this run did not see all of it. */
  readonly downtimeMs: Millis | undefined;
  readonly freezeMs: Millis | undefined;
  /** What the domain has left at home, by path; undefined if this run did not end the migration. */
  readonly left: readonly string[] | undefined;
  /** Of the frozen images: by this run, by earlier ones, and read back by either. */
  readonly copied: Bytes;
  readonly copiedBefore: Bytes;
  readonly verified: Bytes;
}

/**
 * Runs a migration from wherever it stands to its end, or until `signal` aborts: then it stops between two steps (a
 * crossing is called off), and `resume` goes on from there.
 *
 * @throws Refusal `at-work` while another blockferry carries it out; as `beginAlone` does, for one that is not recorded
 * @throws StepImpossible, StepFailed, LibvirtError, HostError, RecordUnreadable: the record stands, and the domain runs
 *   where it did; asking again continues. Connections that drop are waited for (60 s) before that.
 */
export async function runMigration(
  pair: Pair,
  record: MigrationRecord,
  options: MigrationRunOptions,
): Promise<MigrationEnded> {
  const run = new MigrationRun(pair, record, options);
  const { signal } = options;
  try {
    const once = () => run.once();
    const what = { domain: record.domain, disks: 'all' } as const;
    let ending = options.recorded
      ? undefined
      : await beginAlone(pair.home, what, signal, { once, isRecorded: () => run.hasRecorded });
    while (ending === undefined) ending = await once();
    return run.ended(ending);
  } finally {
    await run.stop();
  }
}

class MigrationRun {
  readonly #pair: Pair;
  readonly #options: MigrationRunOptions;
  readonly #memory: MigrationMemory = newMigrationMemory();
  readonly #bell = new Bell();
  readonly #began = performance.now();
  readonly #progress = new MigrationProgress();
  readonly #atWork: AtWork;
  #record: MigrationRecord;
  #onRecord: boolean;
  /** This run has written the record to every place. */
  hasRecorded = false;
  #shown = '';
  #awaySince: number | undefined;
  readonly #space: SpaceWatch;
  #waitsForRoom = false;

  constructor(pair: Pair, record: MigrationRecord, options: MigrationRunOptions) {
    this.#pair = pair;
    this.#record = record;
    this.#options = options;
    this.#onRecord = options.recorded ?? false;
    const warn = (code: string, message: string) => options.report({ type: 'warning', code, message });
    this.#atWork = new AtWork(pair.home.host, { domain: record.domain, parts: ['migration'] }, options);
    // A guest that is stopped for want of room suffers more than one whose writes are slow.
    this.#space = new SpaceWatch(pair.home.host, warn, (on) => this.#memory.copy?.hurry(on));
  }

  /** Nothing of ours may go on beside us once we have said how it stands. */
  async stop(): Promise<void> {
    await this.#memory.crossing?.stop();
    await this.#memory.copy?.stop();
    this.#atWork[Symbol.dispose]();
  }

  /** Undefined: it goes on. */
  async once(): Promise<MigrationEnded['ending'] | undefined> {
    const { signal } = this.#options;
    if (!signal.aborted) return this.#turnOrOvercome();
    await this.stop();
    return { kind: 'stopped' };
  }

  async #turnOrOvercome(): Promise<MigrationEnded['ending'] | undefined> {
    try {
      if (!(await this.#atWork.take())) return undefined;
      const ending = await this.#turn();
      this.#awaySince = undefined;
      return ending;
    } catch (error) {
      if (error instanceof CommitHeld) {
        if (error.asks) return { kind: 'ask', question: 'which-side' };
        if (error.why === 'domain-saved') return { kind: 'interrupted', why: error.why };
        return { kind: 'interrupted', why: 'disk-changed', detail: error.message };
      }
      await this.#overcome(error);
      return undefined;
    }
  }

  async #turn(): Promise<MigrationEnded['ending'] | undefined> {
    const seen = await observeMigration(this.#pair, this.#record, this.#memory);
    if (seen.stored !== undefined) {
      this.#record = seen.stored;
      this.#onRecord = true;
    } else if (this.#onRecord) {
      await this.#pair.away.host.unlink(wishPath(this.#record));
      return endedElsewhere(seen);
    }
    const options = withNewOptions(this.#record.options, this.#options.newOptions ?? {});
    if (this.#onRecord && options !== undefined) return this.#recordOptions(seen, options);
    await this.#watchSpace(seen);
    const decision = decideMigration(seen.world, this.#record);
    switch (decision.kind) {
      case 'act':
        return this.#act(seen, decision);
      case 'wait':
        this.#options.report({ type: 'waiting', wait: decision.wait });
        await this.#tellProgress(seen);
        await this.#bell.wait(POLL_MS, this.#options.signal);
        return undefined;
      case 'end':
        return decision.outcome;
      case 'ask':
        return decision;
      default:
        return unreachable(decision);
    }
  }

  /** Nothing is begun with them before every place shows them. */
  #recordOptions(
    seen: MigrationObservation,
    options: MigrationOptions,
  ): Promise<MigrationOutcome | undefined> {
    const { phase, goal } = this.#record;
    this.#record = { ...this.#record, options };
    return this.#act(seen, { kind: 'act', phase, goal, step: { name: 'record' } });
  }

  async #act(
    observation: MigrationObservation,
    { phase, goal, step }: MigrationDecision & { kind: 'act' },
  ): Promise<MigrationOutcome | undefined> {
    const { report, signal, afterStep } = this.#options;
    if (`${phase}/${goal}` !== this.#shown) report({ type: 'phase', phase, goal });
    this.#shown = `${phase}/${goal}`;
    report({ type: 'step', step: step.name });
    const changed = step.name === 'record' ? { phase, goal, revision: this.#record.revision + 1 } : {};
    const record = { ...this.#record, ...changed };
    const scene = {
      pair: this.#pair,
      observation,
      record,
      memory: this.#memory,
      signal,
      tell: report,
      ring: () => this.#bell.ring(),
      passed: (what: string) => afterStep?.(what),
    };
    await actMigration(scene, step);
    this.#record = record;
    this.hasRecorded ||= step.name === 'record';
    afterStep?.(step.name);
    return step.name === 'close' ? step.outcome : undefined;
  }

  /** The room that the guest's writes have on its overlays at home, and a guest that was stopped for want of it. */
  async #watchSpace({ world, home }: MigrationObservation): Promise<void> {
    if (world.homeOn !== 'overlay' || home === undefined) return;
    if (world.home !== 'running' && world.home !== 'paused') return;
    const isCopying = this.#memory.copy?.state() === 'running';
    const { etaMs } = isCopying ? this.#progress.ofCopies : {};
    const [disk] = this.#record.disks;
    const move = commitBack(this.#record, disk, 'home');
    await this.#space.look({ move, place: 'overlay', domain: home.domain, copied: undefined, etaMs });
  }

  async #tellProgress({ home }: MigrationObservation): Promise<void> {
    const report = await this.#progress.look(this.#memory, home?.domain, this.#record.disks[0].target);
    if (report === undefined) return;
    this.#options.report(report);
    // Each time that it begins to wait.
    const words = roomWords({ destination: this.#record.disks[0].layers[0].to }, report.space ?? 'enough');
    if (words !== undefined && !this.#waitsForRoom) this.#options.report({ type: 'warning', ...words });
    this.#waitsForRoom = report.space !== undefined;
  }

  /** What only means "look again" is overcome here; everything else ends the run with the record standing. */
  async #overcome(error: unknown): Promise<void> {
    const { signal, report } = this.#options;
    if (!meansLookAgain(error) && !isMomentary(error)) throw error;
    this.#awaySince ??= performance.now();
    if (performance.now() - this.#awaySince > AWAY_PATIENCE_MS) throw error;
    const code = isHostLost(error) ? 'host-away' : isLinkLost(error) ? 'daemon-away' : 'domain-busy';
    report({ type: 'warning', code, message: `${messageOf(error)}; trying again` });
    if (isLinkLost(error)) {
      const { home, away } = this.#pair;
      await Promise.all([home, away].map(({ link }) => link.reconnect(AWAY_PATIENCE_MS, signal)));
    } else await this.#bell.wait(POLL_MS, signal);
  }

  ended(ending: MigrationEnded['ending']): MigrationEnded {
    const { copy, downtimeMs, freezeMs, left } = this.#memory;
    const { copied = 0n, copiedBefore = 0n, verified = 0n } = copy?.progress() ?? {};
    return {
      ending,
      record: this.#record,
      durationMs: performance.now() - this.#began,
      downtimeMs,
      freezeMs,
      left,
      copied: copied - copiedBefore,
      copiedBefore,
      verified,
    };
  }
}

/** libvirt says in many words that a domain ended, is gone, or lost its monitor, between a look at it and a call. */
function isMomentary(error: unknown): boolean {
  if (error instanceof Overtaken) return true;
  if (isLibvirtError(error, ErrorCode.NO_DOMAIN)) return true;
  return isLibvirtError(error) && /\bmonitor\b|not running|domain is not running/i.test(error.message);
}

/** The record is gone: another blockferry has ended it. */
function endedElsewhere({ home, away }: MigrationObservation): MigrationOutcome {
  if (home === undefined && away !== undefined) return { kind: 'migrated' };
  return { kind: 'back', why: 'ended by another blockferry' };
}
