// Which points are kept, and why. Pure.
import { isIncrement } from './layout.ts';
import type { Manifest } from './model.ts';
import { chainOf, type Point } from './points.ts';

/** How many to keep: the newest, or the newest of each of so many days, weeks, months, years (of those that have any). */
export interface Retention {
  readonly last?: number;
  readonly daily?: number;
  readonly weekly?: number;
  readonly monthly?: number;
  readonly yearly?: number;
}

export interface Kept {
  readonly manifest: Manifest;
  /** `last`, `daily` and so on; `needed`: a point that is kept stands on it. */
  readonly why: readonly string[];
}

export interface Sorted {
  readonly keep: readonly Kept[];
  /** Kept though they cannot be used now, with why that is. */
  readonly spare: readonly Spared[];
  /** Newest first, so that none ever stands on one that is gone. */
  readonly remove: readonly string[];
}

export interface Spared {
  readonly point: string;
  readonly why: string;
}

/**
 * The newest good point is always kept. A point that cannot be used, because what it stands on is missing, is removed like
 * one that nobody wants. One whose manifest cannot be read stays, for a later version, or another day, may read it; so do all
 * that stand on it, and what it stands on.
 */
export function sortPoints(points: readonly Point[], retention: Retention): Sorted {
  const usable = points.flatMap((point) => {
    const found = point.kind === 'sealed' ? chainOf(points, point.name) : undefined;
    return found?.kind === 'whole' ? [found.chain] : [];
  });
  const newestFirst = usable.toReversed();
  const whys = new Map<string, string[]>();
  const keep = (name: string, why: string) => whys.set(name, [...(whys.get(name) ?? []), why]);
  const [newest] = newestFirst;
  if (newest !== undefined) keep(newest[0].point, 'newest');
  for (const [{ point }] of newestFirst.slice(0, retention.last ?? 0)) keep(point, 'last');
  for (const [rule, periodOf] of Object.entries(PERIODS)) {
    const periods = new Set<string>();
    for (const [{ point, time }] of newestFirst) {
      const period = periodOf(new Date(time));
      if (periods.has(period) || periods.size >= (retention[rule as Rule] ?? 0)) continue;
      periods.add(period);
      keep(point, rule);
    }
  }
  const spare = points.flatMap((point) => sparedOf(points, point));
  for (const point of spare.flatMap(({ point }) => mayStandOn(points, point))) {
    if (!whys.has(point)) keep(point, 'needed');
  }
  for (const [first, ...below] of newestFirst) {
    if (!whys.has(first.point)) continue;
    for (const { point } of below) if (!whys.has(point)) keep(point, 'needed');
  }
  return {
    keep: usable.flatMap(([manifest]) => {
      const why = whys.get(manifest.point);
      return why === undefined ? [] : [{ manifest, why }];
    }),
    spare,
    remove: points
      .map(({ name }) => name)
      .filter((name) => !whys.has(name) && !spare.some(({ point }) => point === name))
      .toReversed(),
  };
}

function sparedOf(points: readonly Point[], { kind, name }: Point): Spared[] {
  if (kind === 'unfinished') return [];
  const found = chainOf(points, name);
  return found.kind === 'broken' && found.unreadable !== undefined ? [{ point: name, why: found.why }] : [];
}

/** An increment stands on the newest point that was there when it was made; more than that is not known of one that is unreadable. */
function mayStandOn(points: readonly Point[], name: string): readonly string[] {
  const point = points.find((each) => each.name === name);
  if (point?.kind !== 'unreadable' || !isIncrement(name)) return [];
  const older = points.findLast((each) => each.kind !== 'unfinished' && each.name < name);
  return older === undefined ? [] : [older.name];
}

type Rule = Exclude<keyof Retention, 'last'>;

/** In UTC, as the points are named. */
const PERIODS: Readonly<Record<Rule, (time: Date) => string>> = {
  daily: (time) => time.toISOString().slice(0, 10),
  weekly: (time) => mondayOf(time),
  monthly: (time) => time.toISOString().slice(0, 7),
  yearly: (time) => time.toISOString().slice(0, 4),
};

function mondayOf(time: Date): string {
  const daysSince = (time.getUTCDay() + 6) % 7;
  return new Date(time.getTime() - daysSince * 86_400_000).toISOString().slice(0, 10);
}
