// The loop for several disks of one domain that move as one: all are looked at, one step is taken, and all again.
import type { LayeredDecision } from '../layered/decide.ts';
import { decideGroup, type GroupView } from '../layered/group/index.ts';
import type { Outcome } from '../model/decision.ts';
import type { MoveRecord } from '../model/record.ts';
import type { Millis } from '../model/units.ts';
import { AtWork } from './at-work.ts';
import { beginAlone } from './begin-alone.ts';
import { Bell } from './bell.ts';
import type { Context } from './context.ts';
import { DiskRun, type Ended, POLL_MS, type RunOptions } from './disk-run.ts';
import { mustHaveTools } from './must-have-tools.ts';
import type { Report } from './report.ts';
import type { Look } from './strategy.ts';

/** A guest that we paused runs on after this, whatever its disks wait for. */
const PAUSE_AT_MOST_MS = 3_000;

export interface GroupRunOptions
  extends Pick<RunOptions, 'signal' | 'afterStep' | 'begins' | 'recorded' | 'waits'> {
  readonly report: (move: MoveRecord, report: Report) => void;
}

export interface GroupEnded {
  /** Of each disk, in the order of the moves that were given. */
  readonly disks: readonly Ended[];
  /** How long the guest stood still by us; undefined: it did not. */
  readonly pausedMs: Millis | undefined;
  readonly durationMs: Millis;
}

/**
 * Runs the moves of one group to their end, or until `signal` aborts; see `runMove`. All end moved or all back, but for
 * what only a person can decide. A guest that we have paused runs when this returns or throws.
 *
 * @param moves the records of the group that there are, in the group's order
 * @throws as `runMove` does
 */
export async function runGroup(
  context: Context,
  moves: readonly MoveRecord[],
  options: GroupRunOptions,
): Promise<GroupEnded> {
  for (const move of moves) mustHaveTools(context, move);
  return new GroupRun(context, moves, options).toEnd();
}

interface Seat {
  readonly run: DiskRun;
  ended: Outcome | undefined;
}

interface Seen {
  readonly seat: Seat;
  readonly look: Look;
}

class GroupRun {
  readonly #context: Context;
  readonly #options: GroupRunOptions;
  readonly #bell = new Bell();
  readonly #seats: readonly Seat[];
  readonly #complete: boolean;
  readonly #began = performance.now();
  readonly #atWork: AtWork;

  constructor(context: Context, moves: readonly MoveRecord[], options: GroupRunOptions) {
    this.#context = context;
    this.#options = options;
    this.#complete = (moves[0]?.group?.disks ?? []).every((disk) => moves.some((move) => move.disk === disk));
    this.#atWork = atWorkOn(context, moves, options);
    this.#seats = moves.map((move) => {
      const report = (one: Report) => options.report(move, one);
      return { run: new DiskRun(context, move, { ...options, report }, this.#bell), ended: undefined };
    });
  }

  async toEnd(): Promise<GroupEnded> {
    using _ = this.#atWork;
    try {
      let ended = this.#options.begins ? await this.#begin() : undefined;
      while (ended === undefined) ended = await this.#once();
      return ended;
    } finally {
      await Promise.all(this.#seats.map(({ run }) => run.stop()));
      await this.#letGuestGoOn();
    }
  }

  #begin(): Promise<GroupEnded | undefined> {
    const disks = this.#seats.map(({ run }) => run.move);
    const isRecorded = () => this.#seats.every(({ run, ended }) => run.hasRecorded || ended !== undefined);
    const once = () => this.#once();
    const what = { domain: this.#leader.move.domain, disks, makes: disks };
    return beginAlone(this.#context, what, this.#options.signal, { once, isRecorded });
  }

  async #once(): Promise<GroupEnded | undefined> {
    if (this.#options.signal.aborted) return this.#allEnded(() => ({ kind: 'stopped' }));
    return this.#turnOrOvercome();
  }

  async #turnOrOvercome(): Promise<GroupEnded | undefined> {
    try {
      if (!(await this.#atWork.take())) return undefined;
      return await this.#turn();
    } catch (error) {
      const [seat] = this.#seats.filter(({ ended }) => ended === undefined);
      if (seat === undefined) throw error;
      await seat.run.overcome(error);
      return undefined;
    }
  }

  /** One look at every disk, and one step. */
  async #turn(): Promise<GroupEnded | undefined> {
    const open = this.#seats.filter(({ ended }) => ended === undefined);
    const sights = await Promise.all(open.map(({ run }) => run.look()));
    const seen: Seen[] = [];
    for (const [at, sight] of sights.entries()) {
      const seat = open[at];
      if (seat === undefined) throw new Error('a seat for each sight');
      if (sight.kind === 'ended') seat.ended = sight.outcome;
      if (sight.kind === 'look') seen.push({ seat, look: sight.look });
    }
    if (seen.length < open.length) return this.#seats.every(isOver) ? this.#end([], []) : undefined;
    const decisions = decideGroup(this.#viewOf(seen));
    return (await this.#act(seen, decisions)) ? undefined : this.#waitOrEnd(seen, decisions);
  }

  #viewOf(seen: readonly Seen[]): GroupView {
    const members = seen.map(({ seat, look }) => {
      if (look.layered === undefined) throw new Error('only strategy layered moves disks together');
      return { world: look.layered, move: seat.run.move };
    });
    const { heldSince, tried } = this.#leader.memory.pause;
    const held = heldSince !== undefined && performance.now() - heldSince < PAUSE_AT_MOST_MS;
    const ended = this.#seats.flatMap((seat) => (seat.ended === undefined ? [] : [seat.ended.kind]));
    const paused = seen.some(({ look }) => look.seen.definitions?.paused === true);
    return { members, complete: this.#complete, ended, guest: { paused, held, tried } };
  }

  get #leader(): DiskRun {
    const [first] = this.#seats;
    if (first === undefined) throw new Error('a group has a disk');
    return first.run;
  }

  /** Carries out the first decision to act. Returns whether there was one. */
  async #act(seen: readonly Seen[], decisions: readonly LayeredDecision[]): Promise<boolean> {
    for (const [at, decision] of decisions.entries()) {
      const one = seen[at];
      if (decision.kind !== 'act' || one === undefined) continue;
      await this.#take(one, decision);
      // Between the switches no time is lost with another look: libvirt itself refuses what is not ready.
      const leads = one.seat === this.#seats[0];
      const held = this.#leader.memory.pause.heldSince !== undefined;
      const begun = decision.step.name === 'pause-guest' ? held : !leads;
      const order = orderAfter(one.look, decision);
      if (begun && order !== undefined) await this.#take(one, order);
      return true;
    }
    return false;
  }

  async #take({ seat, look }: Seen, decision: LayeredDecision & { readonly kind: 'act' }): Promise<void> {
    const outcome = await seat.run.act(look, decision);
    if (decision.step.name === 'freeze') this.#frozen();
    if (outcome !== undefined) seat.ended = outcome;
  }

  /** One snapshot froze them all: no overlay is a new one any more. */
  #frozen(): void {
    for (const { run } of this.#seats) run.memory.layered.overlayFresh = false;
  }

  /** Nobody can act: waits, or ends where there is nothing to wait for but each other. */
  async #waitOrEnd(
    seen: readonly Seen[],
    decisions: readonly LayeredDecision[],
  ): Promise<GroupEnded | undefined> {
    const stuck = decisions.some(({ kind }) => kind === 'ask' || kind === 'end');
    const held = decisions.every(isHeldOrWaits);
    const waits = decisions.some((each) => each.kind === 'wait' && each.wait.for !== 'group');
    const finishing = seen.some(({ look }) => look.live === 'carrier');
    if (!waits || (stuck && !held && !finishing)) return this.#end(seen, decisions);
    for (const [at, decision] of decisions.entries()) {
      const one = seen[at];
      if (decision.kind === 'wait' && one !== undefined) await one.seat.run.tellWait(one.look, decision);
    }
    await this.#bell.wait(POLL_MS, this.#options.signal);
    return undefined;
  }

  #end(seen: readonly Seen[], decisions: readonly LayeredDecision[]): GroupEnded {
    return this.#allEnded((seat) => {
      const decision = decisions[seen.findIndex((one) => one.seat === seat)];
      if (decision?.kind === 'end') return decision.outcome;
      if (decision?.kind === 'ask') return decision;
      return { kind: 'interrupted', why: 'other-disk' };
    });
  }

  #allEnded(endingOf: (seat: Seat) => Ended['ending']): GroupEnded {
    return {
      disks: this.#seats.map((seat) => seat.run.ended(seat.ended ?? endingOf(seat))),
      pausedMs: this.#leader.memory.pause.lastedMs,
      durationMs: performance.now() - this.#began,
    };
  }

  /** Whatever ended the loop, a guest that it has paused is not left so. */
  async #letGuestGoOn(): Promise<void> {
    if (this.#leader.memory.pause.heldSince === undefined) return;
    const sight = await this.#leader.look();
    if (sight.kind !== 'look') return;
    const { phase, goal } = this.#leader.move;
    await this.#leader.act(sight.look, { kind: 'act', phase, goal, step: { name: 'unpause-guest' } });
  }
}

/** The order to switch that comes after this decision, which records its intent or pauses the guest for it. */
function orderAfter({ layered }: Look, { phase, goal, step }: LayeredDecision & { kind: 'act' }) {
  const { job } = layered ?? {};
  const ready = job?.kind === 'ours' && job.leg === 'switch' && job.state === 'ready';
  const before = step.name === 'record' || step.name === 'pause-guest';
  if (!ready || !before || phase !== 'pivoting') return undefined;
  return { kind: 'act', phase, goal, step: { name: 'finish-leg', leg: 'switch' } } as const;
}

function atWorkOn(context: Context, moves: readonly MoveRecord[], options: GroupRunOptions): AtWork {
  const [first] = moves;
  if (first === undefined) throw new Error('a group has a disk');
  const report: RunOptions['report'] = (one) => options.report(first, one);
  const parts = moves.map(({ disk }) => disk);
  return new AtWork(context.host, { domain: first.domain, parts }, { ...options, report });
}

function isOver({ ended }: Seat): boolean {
  return ended !== undefined;
}

function isHeldOrWaits(decision: LayeredDecision): boolean {
  return decision.kind === 'wait' || (decision.kind === 'end' && decision.outcome.kind === 'ready');
}
