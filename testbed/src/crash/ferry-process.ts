// blockferry as a process of its own that can be told to die at an exact point. Started by ferry.ts with one JSON
// argument; prints each report of the move as a line of JSON, and how it ended as the last.
import {
  type Change,
  type Context,
  changeGoal,
  type Ended,
  findMoves,
  Link,
  type MoveRecord,
  OpenMoves,
  preflight,
  Refusal,
  runMove,
} from '@blockferry/engine';
import { localHost } from '@blockferry/qemu';
import { countEffects, type Effect } from './effects.ts';
import type { FerryEnd, FerryOrder, FerryReport, Halt } from './protocol.ts';

const order = JSON.parse(process.argv[2] ?? '', (_, value: unknown) =>
  typeof value === 'string' && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
) as FerryOrder;

function say(report: FerryReport): void {
  const text = JSON.stringify(report, (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
  process.stdout.write(`${text}\n`);
}

/** Stops this process where it stands if the order says so. Nothing of JavaScript runs after SIGKILL or SIGSTOP. */
function haltAt(here: Halt): void {
  const { halt } = order;
  if (halt === undefined || halt.at !== here.at || halt.name !== here.name) return;
  process.kill(process.pid, halt.signal ?? 'SIGKILL');
}

/** The n-th `record` of a move is `record#n`, the first of each name has no number. */
function counted(): (name: string) => string {
  const seen = new Map<string, number>();
  return (name) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name}#${count}`;
  };
}

const nameStep = counted();
const nameEffect = counted();
let step = '';

function onEffect(effect: Effect): void {
  const name = nameEffect(effect);
  say({ type: 'effect', effect: name });
  haltAt({ at: 'after-effect', name });
}

function drive(context: Context, move: MoveRecord): Promise<Ended> {
  return runMove(context, move, {
    signal: new AbortController().signal,
    report: (report) => {
      if (report.type !== 'step') return say(report);
      step = nameStep(report.step);
      say({ type: 'step', step });
      haltAt({ at: 'before-step', name: step });
    },
    afterStep: () => {
      say({ type: 'done', step });
      haltAt({ at: 'after-step', name: step });
    },
  });
}

async function theMove(context: Context, domain: string): Promise<MoveRecord> {
  const [move, ...more] = await findMoves(context, domain);
  if (move === undefined) throw new Refusal('nothing-to-do', `${domain} has no open move`);
  if (more.length > 0) throw new Error(`${domain} has ${more.length + 1} open moves`);
  return move;
}

async function changed(context: Context, domain: string, change: Change): Promise<MoveRecord> {
  const move = await theMove(context, domain);
  return Object.keys(change).length === 0 ? move : changeGoal(context, move, change);
}

async function obey(context: Context): Promise<Ended> {
  switch (order.verb) {
    case 'move': {
      const found = await preflight(context, order.request);
      for (const { code, message } of found.warnings) say({ type: 'warning', code, message });
      return drive(context, found.move);
    }
    case 'resume':
      return drive(context, await changed(context, order.domain, order.use ? { use: order.use } : {}));
    case 'abort':
      return drive(context, await changed(context, order.domain, { goal: order.keep ? 'keep' : 'abort' }));
    case 'pivot':
      return drive(context, await changed(context, order.domain, { goal: 'pivot' }));
  }
}

function failed(error: unknown): FerryEnd {
  const { name, message } = error instanceof Error ? error : { name: 'unknown', message: String(error) };
  const code = error instanceof Refusal ? error.code : name;
  return { type: 'end', ending: { kind: 'error', code, message }, cutoverMs: undefined };
}

const local = localHost();
const { host, watch } = countEffects(local, onEffect);
watch();
const context: Context = {
  link: new Link(order.uri),
  host,
  openMoves: new OpenMoves(host, order.stateDirectory),
};
try {
  const { ending, cutoverMs } = await obey(context);
  say({ type: 'end', ending, cutoverMs });
} catch (error) {
  say(failed(error));
}
await context.link.close();
await local.close();
