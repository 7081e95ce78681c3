// The loop: observe, decide, act, until the move has ended. There is no other path for recovery.
import { CallTimeout, ErrorCode, isLibvirtError } from '@blockferry/libvirt';
import type { Decision, Outcome, Question, StepName } from '../model/decision.ts';
import { messageOf, StepFailed } from '../model/errors.ts';
import type { MoveRecord } from '../model/record.ts';
import { type Millis, unreachable } from '../model/units.ts';
import type { World } from '../model/world.ts';
import { readDefinitions } from '../observe/definitions.ts';
import { type Memory, newMemory } from '../observe/memory.ts';
import { Bell } from './bell.ts';
import type { Context } from './context.ts';
import { diagnoseFailure } from './diagnose.ts';
import { isHostLost, isLinkLost } from './link.ts';
import { Progress, progressAt } from './progress.ts';
import type { Report } from './report.ts';
import { type AnyStep, type Look, look } from './strategy.ts';
import { Watch } from './watch.ts';

/** The slow poll that catches what events missed, and the pace of progress reports. */
const POLL_MS = 500;
/** How long a daemon, or the way to its machine, may be away before the move stops waiting; it stays resumable. */
const AWAY_PATIENCE_MS = 60_000;

export interface RunOptions {
  readonly signal: AbortSignal;
  readonly report: (report: Report) => void;
  /** Called after each step has been carried out. Tests stop the process there. */
  readonly afterStep?: (step: StepName) => void;
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
}

/**
 * Runs a move from wherever it stands to its end, or until `signal` aborts: then it stops between two steps, and
 * `resume` goes on from there.
 *
 * @throws StepFailed, LibvirtError, HostError, RecordUnreadable: the record stands and the guest runs on; asking
 *   again continues. A connection that drops is waited for (60 s) before ConnectionClosed is thrown.
 */
export async function runMove(context: Context, move: MoveRecord, options: RunOptions): Promise<Ended> {
  return new Run(context, move, options).toEnd();
}

class Run {
  readonly #context: Context;
  readonly #options: RunOptions;
  readonly #memory: Memory = newMemory();
  readonly #bell = new Bell();
  readonly #progress = new Progress();
  readonly #watch: Watch;
  readonly #began = performance.now();
  readonly #warned = new Set<string>();
  #move: MoveRecord;
  #onRecord = false;
  #pivotOrderedAt: number | undefined;
  #cutoverMs: Millis | undefined;
  #shown = '';
  #hostAwaySince: number | undefined;
  #lastSeen: World['domain'] = 'running';

  constructor(context: Context, move: MoveRecord, options: RunOptions) {
    this.#context = context;
    this.#move = move;
    this.#options = options;
    this.#watch = new Watch(context.link, move, this.#memory, this.#bell);
  }

  async toEnd(): Promise<Ended> {
    try {
      for (;;) {
        if (this.#options.signal.aborted) return this.#ended({ kind: 'stopped' });
        const ended = await this.#turnOrOvercome();
        if (ended !== undefined) return this.#ended(ended);
      }
    } finally {
      // Nothing of ours may go on beside us once we have said how it stands.
      await this.#memory.layered.copy?.stop();
    }
  }

  async #turnOrOvercome(): Promise<Ended['ending'] | undefined> {
    try {
      const ended = await this.#turn();
      this.#hostAwaySince = undefined;
      return ended;
    } catch (error) {
      await this.#overcome(error);
      return undefined;
    }
  }

  /** One look and what follows from it. */
  async #turn(): Promise<Ended['ending'] | undefined> {
    await this.#watch.listen();
    const seen = await look(this.#context, this.#move, this.#memory);
    const elsewhere = this.#adopt(seen);
    if (elsewhere !== undefined) return elsewhere;
    this.#noticePivot(seen);
    if (this.#memory.witnessed === 'failed' && this.#memory.failure === undefined) {
      this.#memory.failure = await diagnoseFailure(this.#context, this.#move);
      return undefined;
    }
    this.#lastSeen = seen.domain;
    const decision = seen.decide(this.#move);
    switch (decision.kind) {
      case 'act':
        return this.#act(seen, decision);
      case 'wait':
        await this.#wait(seen, decision);
        return undefined;
      case 'end':
        return decision.outcome;
      case 'ask':
        return decision;
      default:
        return unreachable(decision);
    }
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
    return { kind: 'back', why: 'ended by another blockferry' };
  }

  async #act(seen: Look, decision: Decision<AnyStep> & { kind: 'act' }): Promise<Outcome | undefined> {
    const { step } = decision;
    // Ready came between two reports: say how much it was.
    if (seen.job.kind === 'ours') this.#options.report(progressAt(seen.job));
    this.#show(decision);
    if (ordersSwitch(step)) this.#pivotOrderedAt = performance.now();
    if (startsCopy(step)) this.#progress.reset();
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
    this.#options.afterStep?.(step.name);
    return step.name === 'close' ? step.outcome : undefined;
  }

  #show({ step, phase, goal }: Decision<AnyStep> & { kind: 'act' }): void {
    if (`${phase}/${goal}` !== this.#shown) this.#options.report({ type: 'phase', phase, goal });
    this.#shown = `${phase}/${goal}`;
    this.#options.report({ type: 'step', step: step.name });
  }

  async #wait(seen: Look, decision: Decision<AnyStep> & { kind: 'wait' }): Promise<void> {
    this.#options.report({ type: 'waiting', wait: decision.wait });
    const { definitions } = seen.seen;
    const layers = this.#memory.layered.copy?.progress();
    if (decision.wait.for === 'layers' && layers !== undefined) {
      this.#options.report(await this.#progress.sampleLayers(definitions?.domain, this.#move.disk, layers));
      if (layers.waitsForSpace) this.#warnFull();
    } else if (seen.job.kind === 'ours' && definitions !== undefined) {
      this.#options.report(await this.#progress.sample(definitions.domain, this.#move.disk, seen.job));
      this.#judgePace(seen);
    }
    if (seen.answers === 'silent') this.#warnSilent();
    await this.#bell.wait(POLL_MS, this.#options.signal);
  }

  #judgePace(seen: Look): void {
    const pace = this.#progress.pace();
    this.#memory.flows = this.#progress.flows();
    this.#memory.standsStill = pace.kind === 'still';
    this.#memory.diverging = pace.kind === 'diverging';
    const { synchronousWrites, converge } = this.#move.options;
    if (pace.kind === 'diverging' && !synchronousWrites && !converge) {
      this.#warn(
        'not-converging',
        `the guest writes as fast as the mirror copies, so it may never be ready: abort and move with ${surelyEnds(this.#move)}`,
      );
    }
    if (pace.kind === 'still' && seen.answers !== 'silent') {
      this.#warn('stands-still', `nothing was copied for ${Math.round(pace.forMs / 1000)} s`);
    }
  }

  #warnFull(): void {
    this.#warn(
      'waits-for-space',
      'the destination is full. The copy waits, and goes on by itself when there is room; the guest runs on',
    );
  }

  #warnSilent(): void {
    const { domain, disk, goal } = this.#move;
    const now = 'the destination does not answer. The guest runs on the source and is not held up.';
    const whenForward = `Make it answer again and the move goes on; or undo it with: blockferry abort ${domain.name} ${disk}`;
    const whenBack =
      'Ending the copy now would hold it up until the destination answers. Make it answer again, or end it for good (kill its server): then the copy ends by itself';
    this.#warn(
      'destination-silent',
      `${now} ${goal === 'pivot' || goal === 'hold' ? whenForward : whenBack}`,
    );
  }

  #noticePivot(seen: Look): void {
    if (this.#pivotOrderedAt === undefined || this.#cutoverMs !== undefined) return;
    if (seen.onDestination) this.#cutoverMs = performance.now() - this.#pivotOrderedAt;
  }

  /** What only means "look again" is overcome here; everything else ends the run with the record standing. */
  async #overcome(error: unknown): Promise<void> {
    const { signal } = this.#options;
    if (isLinkLost(error)) {
      this.#options.report({
        type: 'warning',
        code: 'daemon-away',
        message: `${messageOf(error)}; waiting for libvirtd`,
      });
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
    if (!(await this.#endedMeanwhile())) throw error;
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

  #ended(ending: Ended['ending']): Ended {
    return {
      ending,
      move: this.#move,
      cutoverMs: this.#cutoverMs,
      durationMs: performance.now() - this.#began,
    };
  }
}

/** Synchronous writes are not for shallow mirrors; see preflight. */
function surelyEnds({ scope }: MoveRecord): string {
  return scope === 'shallow' ? '--strategy layered' : '--synchronous-writes, or with --converge';
}

function ordersSwitch(step: AnyStep): boolean {
  return step.name === 'pivot' || step.name === 'finish-leg';
}

function startsCopy({ name }: AnyStep): boolean {
  return (
    name === 'start-copy' ||
    name === 'restart-synchronously' ||
    name === 'start-leg' ||
    name === 'copy-layers'
  );
}

/** Nothing is known of what was asked for, or libvirt was busy: only another look can tell. */
function meansLookAgain(error: unknown): boolean {
  return (
    isLinkLost(error) ||
    isHostLost(error) ||
    isLibvirtError(error, ErrorCode.OPERATION_TIMEOUT) ||
    error instanceof CallTimeout
  );
}
