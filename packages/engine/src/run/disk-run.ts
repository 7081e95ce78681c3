// One move as the loop sees it: a look at its disk, what follows from it, and what is said of it meanwhile.
import { type LayersSummary, summaryOf } from '../layered/summary.ts';
import type { Decision, Outcome, Question, StepName } from '../model/decision.ts';
import { messageOf, StartedMeanwhile, StepFailed } from '../model/errors.ts';
import type { MoveRecord } from '../model/record.ts';
import type { Millis } from '../model/units.ts';
import type { World } from '../model/world.ts';
import { readDefinitions } from '../observe/definitions.ts';
import { type LayersProgress, type Memory, newMemory } from '../observe/memory.ts';
import { SpaceWatch } from '../space/watch.ts';
import type { Bell } from './bell.ts';
import type { Context } from './context.ts';
import { diagnoseFailure } from './diagnose.ts';
import { type Judged, judgeLayers, judgePace } from './judge-pace.ts';
import { isHostLost, isLinkLost, isMonitorLost, meansLookAgain } from './link.ts';
import { Progress, progressAt } from './progress.ts';
import type { Report } from './report.ts';
import { type AnyStep, type Look, look, ordersSwitch, startsCopy } from './strategy.ts';
import { roomWords, silentWords } from './warnings.ts';
import { Watch } from './watch.ts';

/** The slow poll that catches what events missed, and the pace of progress reports. */
export const POLL_MS = 500;
/** How long a daemon, or the way to its machine, may be away before the move stops waiting; it stays resumable. */
const AWAY_PATIENCE_MS = 60_000;
/** A libvirtd that is busy takes this long at most to note that a QEMU has died. */
const END_SEEN_WITHIN_MS = 10_000;

export interface RunOptions {
  readonly signal: AbortSignal;
  readonly report: (report: Report) => void;
  /** Called after each step has been carried out. Tests stop the process there. */
  readonly afterStep?: (step: StepName) => void;
  /** Another blockferry that carries it out has been told what is wanted, and is waited for. Default false: refused. */
  readonly waits?: boolean;
  /** The record stands on the host already: where it does not, another blockferry has ended the move. Default false. */
  readonly recorded?: boolean;
  /** The move is new: nothing else may be open on its disk, or begin there at the same time. */
  readonly begins?: boolean;
}

export interface Ended {
  readonly ending:
    | Outcome
    | { readonly kind: 'ask'; readonly question: Question }
    | { readonly kind: 'stopped' };
  readonly move: MoveRecord;
  /** From the order to pivot until its success was seen; undefined if this run did not pivot. */
  readonly cutoverMs: Millis | undefined;
  readonly durationMs: Millis;
  /** Strategy `layered` only. */
  readonly layers: LayersSummary | undefined;
}

/** What a look at the host came to, before anything was decided. */
export type Sight =
  | { readonly kind: 'look'; readonly look: Look }
  /** Another blockferry has ended the move. */
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  /** Something was noted: look again. */
  | { readonly kind: 'again' };

export class DiskRun {
  readonly #context: Context;
  readonly #options: RunOptions;
  readonly memory: Memory = newMemory();
  readonly #bell: Bell;
  readonly #progress = new Progress();
  readonly #watch: Watch;
  readonly #began = performance.now();
  readonly #warned = new Set<string>();
  #move: MoveRecord;
  #onRecord: boolean;
  #hasRecorded = false;
  #pivotOrderedAt: number | undefined;
  #cutoverMs: Millis | undefined;
  #shown = '';
  #hostAwaySince: number | undefined;
  #lastSeen: World['domain'] = 'running';
  readonly #spaceWatch: SpaceWatch | undefined;
  #space: LayersProgress['space'] = 'enough';

  /** @param bell rung when something happened; the loop waits for it */
  constructor(context: Context, move: MoveRecord, options: RunOptions, bell: Bell) {
    this.#context = context;
    this.#move = move;
    this.#options = options;
    this.#onRecord = options.recorded ?? false;
    this.#bell = bell;
    this.#watch = new Watch(context.link, move, this.memory, bell);
    const report = (code: string, message: string) => options.report({ type: 'warning', code, message });
    // A guest that is stopped for want of room suffers more than one whose writes are slow: the copy goes as fast as it can.
    const hurry = (on: boolean) => this.memory.layered.copy?.hurry(on);
    this.#spaceWatch = context.host && new SpaceWatch(context.host, report, hurry);
  }

  /** The record as it stands, by the last look. */
  get move(): MoveRecord {
    return this.#move;
  }

  /** This run has written the record to every place. */
  get hasRecorded(): boolean {
    return this.#hasRecorded;
  }

  /** One look at the host. @throws as `observe` does */
  async look(): Promise<Sight> {
    await this.#watch.listen();
    const seen = await look(this.#context, this.#move, this.memory);
    const elsewhere = this.#adopt(seen);
    if (elsewhere !== undefined) return { kind: 'ended', outcome: elsewhere };
    this.#noticePivot(seen);
    if (this.memory.witnessed === 'failed' && this.memory.failure === undefined) {
      const { why, full } = await diagnoseFailure(this.#context, this.#move);
      this.memory.failure = why;
      this.memory.destinationFull = full;
      return { kind: 'again' };
    }
    this.#lastSeen = seen.domain;
    await this.#watchSpace(seen, 'if due');
    return { kind: 'look', look: seen };
  }

  /** Nothing of ours may go on beside us once we have said how it stands. */
  async stop(): Promise<void> {
    await this.memory.layered.copy?.stop();
    await this.memory.shorten.work?.stop();
  }

  /** The record on the host wins: another verb may have changed the goal, or ended the move. */
  #adopt({ seen, job, onDestination }: Look): Outcome | undefined {
    if (seen.stored !== undefined) {
      this.#onRecord = true;
      this.#move = seen.stored;
      return undefined;
    }
    if (!this.#onRecord || job.kind === 'ours') return undefined;
    if (onDestination) return { kind: 'moved' };
    if (this.#move.copy !== undefined && this.#move.goal === 'keep') return { kind: 'copied' };
    return { kind: 'back', why: 'ended by another blockferry' };
  }

  /** Carries a decision out. Returns how the move has ended with it. */
  async act(seen: Look, decision: Decision<AnyStep> & { kind: 'act' }): Promise<Outcome | undefined> {
    const { step } = decision;
    this.#tellJob(seen);
    this.#show(decision);
    if (ordersSwitch(step)) this.#pivotOrderedAt = performance.now();
    if (startsCopy(step)) {
      this.#progress.reset();
      this.memory.standsStill = false;
    }
    const warn = (code: string, message: string) => this.#warn(code, message);
    try {
      this.#move = await seen.act(this.#move, decision, warn);
    } catch (error) {
      if (meansLookAgain(error) || error instanceof StepFailed) throw error;
      throw new StepFailed(step.name, messageOf(error), { cause: error });
    }
    if (step.name === 'record-round' && step.round === 'begun') {
      this.#options.report({ type: 'round', round: 1 + (this.#move.layered?.rounds?.length ?? 0) });
    }
    this.#hostAwaySince = undefined;
    this.#hasRecorded ||= step.name === 'record';
    // What is beside the loop has no event of libvirt's to wake it.
    if (step.name === 'copy-layers') void this.memory.layered.copy?.over.then(() => this.#bell.ring());
    this.#options.afterStep?.(step.name);
    if (step.name !== 'close') return undefined;
    await this.atEnd(seen);
    return step.outcome;
  }

  /** Ready came between two reports: say how much it was. */
  #tellJob({ job }: Look): void {
    if (job.kind === 'ours') this.#options.report(progressAt(job));
  }

  #show({ step, phase, goal }: Decision<AnyStep> & { kind: 'act' }): void {
    if (`${phase}/${goal}` !== this.#shown) this.#options.report({ type: 'phase', phase, goal });
    this.#shown = `${phase}/${goal}`;
    this.#options.report({ type: 'step', step: step.name });
  }

  /** Says what is waited for, and how far it is. Returns at once. */
  async tellWait(seen: Look, decision: Decision<AnyStep> & { kind: 'wait' }): Promise<void> {
    this.#hostAwaySince = undefined;
    this.#options.report({ type: 'waiting', wait: decision.wait });
    const { definitions } = seen.seen;
    const layers = this.memory.layered.copy?.progress();
    if (decision.wait.for === 'layers' && layers !== undefined) {
      this.#options.report(await this.#progress.sampleLayers(definitions?.domain, this.#move.disk, layers));
      this.#tellRoom(layers.space);
      judgeLayers(this.#judged(seen));
    } else if (seen.job.kind === 'ours' && definitions !== undefined) {
      this.#options.report(await this.#progress.sample(definitions.domain, this.#move.disk, seen.job));
      judgePace(this.#judged(seen));
    }
    const work = this.memory.shorten.work?.progress();
    if (decision.wait.for === 'offline' && work !== undefined) {
      this.#options.report(await this.#progress.sample(undefined, this.#move.disk, work));
    }
    if (decision.wait.for === 'room') this.#tellRoom('low');
    if (seen.answers === 'silent') this.#warn('destination-silent', silentWords(this.#move, seen.live));
  }

  #judged({ answers }: Look): Judged {
    const warn = (code: string, message: string) => this.#warn(code, message);
    return { move: this.#move, progress: this.#progress, memory: this.memory, answers, warn };
  }

  /** Each time that it begins to wait. */
  #tellRoom(space: LayersProgress['space']): void {
    const words = space === this.#space ? undefined : roomWords(this.#move, space);
    this.#space = space;
    if (words !== undefined) this.#options.report({ type: 'warning', ...words });
  }

  /** The last look of a run that ends here. */
  async atEnd(seen: Look): Promise<void> {
    this.#tellJob(seen);
    await this.#watchSpace(seen, 'now');
  }

  /** The room for the guest's writes, and a guest that was stopped for want of it. */
  async #watchSpace(seen: Look, now: 'now' | 'if due'): Promise<void> {
    const { definitions } = seen.seen;
    if (definitions?.running !== true || this.#move.layered === undefined) return;
    const { copied, etaMs } = this.memory.layered.copy?.state() === 'running' ? this.#progress.latest : {};
    const watched = { move: this.#move, place: seen.live, domain: definitions.domain, copied, etaMs };
    await (now === 'now' ? this.#spaceWatch?.lookNow(watched) : this.#spaceWatch?.look(watched));
  }

  #noticePivot(seen: Look): void {
    if (this.#pivotOrderedAt === undefined || this.#cutoverMs !== undefined) return;
    if (seen.onDestination) this.#cutoverMs = performance.now() - this.#pivotOrderedAt;
  }

  /** What only means "look again" is overcome here; everything else ends the run with the record standing. */
  async overcome(error: unknown): Promise<void> {
    const { signal } = this.#options;
    if (error instanceof StartedMeanwhile) return;
    if (isLinkLost(error)) {
      const message = `${messageOf(error)}; waiting for libvirtd`;
      this.#options.report({ type: 'warning', code: 'daemon-away', message });
      await this.#context.link.reconnect(AWAY_PATIENCE_MS, signal);
      return;
    }
    if (isHostLost(error)) {
      this.#hostAwaySince ??= performance.now();
      if (performance.now() - this.#hostAwaySince > AWAY_PATIENCE_MS) throw error;
      this.#warn('host-away', `${messageOf(error)}; trying again`);
      await this.#bell.wait(POLL_MS, signal);
      return;
    }
    if (meansLookAgain(error)) {
      this.#warn('domain-busy', `libvirt is held up by this domain (${messageOf(error)}); still trying`);
      await this.#bell.wait(POLL_MS, signal);
      return;
    }
    if (await this.#endedMeanwhile()) return;
    // libvirt sees the end of a QEMU some time after the first call that was to reach it fails.
    const until = performance.now() + (isMonitorLost(error) ? END_SEEN_WITHIN_MS : 0);
    while (performance.now() < until && !signal.aborted) {
      await this.#bell.wait(POLL_MS, signal);
      if (await this.#endedMeanwhile()) return;
    }
    throw error;
  }

  /** libvirt refuses in many words when the domain ends between a look at it and a call: the next look says what it is. */
  async #endedMeanwhile(): Promise<boolean> {
    if (this.#lastSeen !== 'running') return false;
    const connection = await this.#context.link.connection();
    const { domain } = this.#move;
    const running = (await readDefinitions(connection, domain.uuid))?.running ?? false;
    this.#lastSeen = running ? 'running' : 'off';
    return !running;
  }

  /** Each warning once. */
  #warn(code: string, message: string): void {
    if (this.#warned.has(`${code} ${message}`) || this.#warned.has(code)) return;
    this.#warned.add(code === 'stands-still' ? code : `${code} ${message}`);
    this.#options.report({ type: 'warning', code, message });
  }

  ended(ending: Ended['ending']): Ended {
    const [cutoverMs, durationMs] = [this.#cutoverMs, performance.now() - this.#began];
    return { ending, move: this.#move, cutoverMs, durationMs, layers: summaryOf(this.memory) };
  }
}
