// What our command tells of itself while it runs (--json), as seconds of each phase and the speed of bulk copying.
import type { Line } from '../measure/timed-command.ts';

export interface Told {
  /** Seconds by phase, in the order of the phases; the first, `start`, is all that comes before the move. */
  readonly phases: ReadonlyMap<string, number>;
  /** From when bytes began to be counted to when all were; undefined when that was too short to see. */
  readonly bulkMBps: number | undefined;
}

interface Message {
  readonly at: number;
  readonly type: unknown;
  readonly phase: unknown;
  readonly copied: unknown;
  readonly total: unknown;
}

export function readTold(lines: readonly Line[], endedAt: number): Told {
  const messages = lines.flatMap(read);
  const phases = new Map<string, number>();
  let [name, since] = ['start', 0];
  const add = (until: number) => phases.set(name, (phases.get(name) ?? 0) + until - since);
  for (const { at, type, phase } of messages) {
    if (type !== 'phase' || typeof phase !== 'string') continue;
    add(at);
    [name, since] = [phase, at];
  }
  add(endedAt);
  return { phases, bulkMBps: bulkOf(messages) };
}

/** Of the first round of the phase `copying` alone: what follows in strategy layered is small. */
function bulkOf(messages: readonly Message[]): number | undefined {
  const from = messages.findIndex(({ type, phase }) => type === 'phase' && phase === 'copying');
  const copying = messages.slice(from + 1);
  const next = copying.findIndex(({ type }) => type === 'phase');
  const steps = copying.slice(0, next < 0 ? undefined : next).flatMap(({ at, type, copied, total }) => {
    const counted = type === 'progress' && typeof copied === 'number' && typeof total === 'number';
    return counted && total > 0 ? [{ at, copied, whole: copied >= total }] : [];
  });
  // The next round, and the mirror, begin to count anew; this one may have ended between two reports.
  const fall = steps.findIndex(({ copied }, at) => copied < (steps[at - 1]?.copied ?? 0));
  const round = fall < 0 ? steps : steps.slice(0, fall);
  const end = round.find(({ whole }) => whole) ?? (fall < 0 ? undefined : round.at(-1));
  const begin = round.find(({ copied }) => copied > 0);
  if (begin === undefined || end === undefined || end.at - begin.at < 1) return undefined;
  return (end.copied - begin.copied) / 1e6 / (end.at - begin.at);
}

function read({ at, text }: Line): Message[] {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return [];
    const { type, phase, copied, total } = { ...EMPTY, ...value };
    return [{ at, type, phase, copied, total }];
  } catch {
    return []; // words for people, on stderr
  }
}

const EMPTY = { type: undefined, phase: undefined, copied: undefined, total: undefined };
