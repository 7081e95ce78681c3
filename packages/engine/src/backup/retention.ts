// Which points are kept, and why. Pure.
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
  /** Newest first, so that none ever stands on one that is gone. */
  readonly remove: readonly string[];
}

/**
 * The newest good point is always kept. A point that cannot be used, because what it stands on is missing, is removed like
 * one that nobody wants; one whose manifest cannot be read stays, for a later version may read it.
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
  for (const [first, ...below] of newestFirst) {
    if (!whys.has(first.point)) continue;
    for (const { point } of below) if (!whys.has(point)) keep(point, 'needed');
  }
  const unreadable = points.filter(({ kind }) => kind === 'unreadable').map(({ name }) => name);
  return {
    keep: usable.flatMap(([manifest]) => {
      const why = whys.get(manifest.point);
      return why === undefined ? [] : [{ manifest, why }];
    }),
    remove: points
      .map(({ name }) => name)
      .filter((name) => !whys.has(name) && !unreadable.includes(name))
      .toReversed(),
  };
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
