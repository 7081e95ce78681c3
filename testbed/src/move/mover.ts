// blockferry as a library on one testbed host: plans and runs moves within the test's own process.
import { join } from 'node:path';
import {
  type Change,
  type Context,
  changeGoal,
  type Ended,
  findMoves,
  type GroupEnded,
  type GroupPreflight,
  type GroupRequest,
  Link,
  type MoveRecord,
  type MoveRequest,
  OpenMoves,
  type Preflight,
  preflight,
  preflightGroup,
  Refusal,
  type Report,
  runGroup,
  runMove,
  type StepName,
  type Warning,
} from '@blockferry/engine';
import { type Host, localHost } from '@blockferry/qemu';
import type { LibvirtHost } from '../libvirt-host/host.ts';

/** What is asked for; everything but domain and disk has a default. */
export type Ask = Partial<Omit<MoveRequest, 'options'>> &
  Pick<MoveRequest, 'domain' | 'disk'> & { readonly options?: Partial<MoveRequest['options']> };

export type AskGroup = Pick<GroupRequest, 'domain' | 'disks'> & {
  readonly pause?: boolean;
  readonly each?: Partial<GroupRequest['each']>;
};

export type Moved = {
  readonly ending: Ended['ending'];
  readonly move: MoveRecord;
  readonly cutoverMs: number | undefined;
  readonly steps: readonly StepName[];
  /** Codes, those of preflight first. */
  readonly warnings: readonly Warning[];
  readonly reports: readonly Report[];
};

export type MoverOptions = {
  /** The connection; default the host's own. */
  readonly uri?: string;
  /** Where its tools run; default this machine. `none`: nowhere, as over TLS. */
  readonly tools?: Host | 'none';
};

export class Mover {
  readonly context: Context;
  readonly stateDirectory: string;
  readonly #here: Host;
  readonly #tools: Host | undefined;

  constructor(host: LibvirtHost, options: MoverOptions = {}) {
    this.#here = localHost();
    this.#tools = options.tools === 'none' ? undefined : (options.tools ?? this.#here);
    this.stateDirectory = join(host.directory, 'blockferry-state');
    this.context = {
      link: new Link(options.uri ?? host.uri),
      host: this.#tools,
      openMoves: new OpenMoves(this.#here, this.stateDirectory),
    };
  }

  /** @throws Refusal */
  plan(ask: Ask): Promise<Preflight> {
    return preflight(this.context, requestOf(ask));
  }

  /** The refusal that the request meets. @throws {Error} when it would have been carried out. */
  async refusal(ask: Ask): Promise<Refusal> {
    try {
      await this.plan(ask);
    } catch (error) {
      if (error instanceof Refusal) return error;
      throw error;
    }
    throw new Error(`not refused: ${JSON.stringify(ask)}`);
  }

  /** The same for several disks as one. @throws Refusal */
  planGroup({ pause = false, ...ask }: AskGroup): Promise<GroupPreflight> {
    const { domain: _, disk: __, ...each } = requestOf({ domain: ask.domain, disk: '', scope: 'chain' });
    return preflightGroup(this.context, { ...ask, pause, each: { ...each, ...ask.each } });
  }

  /** Plans and runs moves of several disks as one. @throws Refusal, and whatever they end with */
  async moveGroup(ask: AskGroup): Promise<GroupEnded> {
    const { disks } = await this.planGroup(ask);
    const moves = disks.map(({ move }) => move);
    return runGroup(this.context, moves, { signal: AbortSignal.timeout(90_000), report: () => {} });
  }

  /** Plans and runs a move to its end. @throws Refusal, and whatever the move ends with */
  async move(ask: Ask): Promise<Moved> {
    const { move, warnings } = await this.plan(ask);
    return this.run(move, warnings);
  }

  /** Changes what is wanted of the domain's only open move and runs it to its end. */
  async change(domain: string, change: Change): Promise<Moved> {
    const [move, ...more] = await findMoves(this.context, domain);
    if (move === undefined || more.length > 0)
      throw new Error(`${domain} has ${more.length} open moves more`);
    return this.run(await changeGoal(this.context, move, change));
  }

  async run(move: MoveRecord, before: readonly Warning[] = []): Promise<Moved> {
    const reports: Report[] = [];
    const ended = await runMove(this.context, move, {
      signal: AbortSignal.timeout(90_000),
      report: (report) => reports.push(report),
    });
    return {
      ending: ended.ending,
      move: ended.move,
      cutoverMs: ended.cutoverMs,
      steps: reports.flatMap((report) => (report.type === 'step' ? [report.step] : [])),
      warnings: [...before, ...reports.filter((report) => report.type === 'warning')],
      reports,
    };
  }

  async close(): Promise<void> {
    await this.context.link.close();
    await this.#here.close();
    if (this.#tools !== this.#here) await this.#tools?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function requestOf({ options, ...ask }: Ask): MoveRequest {
  return {
    scope: 'shallow',
    strategy: 'auto',
    verify: true,
    reuseExternal: false,
    hold: false,
    undefine: false,
    ...ask,
    options: { synchronousWrites: false, converge: false, deleteSource: false, ...options },
  };
}
