import { describe, expect, it } from 'vitest';
import { pointName } from './layout.ts';
import type { Manifest } from './model.ts';
import type { Point } from './points.ts';
import { type Retention, sortPoints } from './retention.ts';

function sealed(time: string, parent?: Point): Point {
  const kind = parent === undefined ? 'full' : 'incremental';
  const name = pointName(new Date(time), kind);
  const manifest: Manifest = {
    version: 1,
    id: 'a',
    set: 'b',
    point: name,
    kind,
    ...(parent && { parent: parent.name }),
    domain: { name: 'vm', uuid: 'u' },
    time,
    running: true,
    quiesced: false,
    disks: [],
    files: [],
  };
  return { kind: 'sealed', name, manifest };
}

/** A full point each Sunday, an increment on each other day, for so many weeks; each at noon. */
function weeks(count: number): Point[] {
  const points: Point[] = [];
  for (let day = 0; day < count * 7; day++) {
    const time = new Date(Date.UTC(2026, 10, 1 + day, 12)).toISOString();
    points.push(sealed(time, day % 7 === 0 ? undefined : points.at(-1)));
  }
  return points;
}

const daysKept = (points: readonly Point[], retention: Retention) =>
  sortPoints(points, retention).keep.map(({ manifest }) => manifest.time.slice(5, 10));

describe('of a full point a week with increments between', () => {
  it('keeps the newest, and all that these stand on', () => {
    expect(daysKept(weeks(3), { last: 2 })).toEqual([
      ...['11-15', '11-16', '11-17', '11-18', '11-19', '11-20', '11-21'],
    ]);
    expect(daysKept(weeks(2).slice(0, 9), { last: 2 })).toEqual(['11-08', '11-09']);
  });

  it('keeps the newest of each period, counted in periods that have any', () => {
    // Weeks begin on Mondays: of each the newest is the Sunday's, a full one; the last week has none yet.
    expect(daysKept(weeks(3), { weekly: 3 })).toEqual([
      ...['11-08', '11-15', '11-16', '11-17', '11-18', '11-19', '11-20', '11-21'],
    ]);
    expect(daysKept(weeks(1), { monthly: 5 })).toHaveLength(7);
  });

  it('says why', () => {
    const { keep } = sortPoints(weeks(1).slice(0, 2), { last: 1 });
    expect(keep.map(({ why }) => why)).toEqual([['needed'], ['newest', 'last']]);
  });
});

it('removes newest first, so that nothing stands on what is gone', () => {
  const { remove } = sortPoints(weeks(2).slice(0, 9), { last: 1 });
  expect(remove).toEqual(
    weeks(1)
      .map(({ name }) => name)
      .toReversed(),
  );
});

it('always keeps the newest good one', () => {
  expect(daysKept(weeks(1).slice(0, 1), {})).toEqual(['11-01']);
});

it('removes what was never finished and what stands on nothing, and leaves what it cannot read', () => {
  const [full, ...increments] = weeks(1);
  const torn: Point = { kind: 'unfinished', name: '2026-11-09T00-00-00Z-full' };
  const strange: Point = { kind: 'unreadable', name: '2026-11-10T00-00-00Z-full', why: 'a later version' };
  const good = sealed('2026-11-08T12:00:00.000Z');
  const { keep, remove } = sortPoints([...increments, good, torn, strange], { last: 9 });
  expect(keep.map(({ manifest }) => manifest.point)).toEqual([good.name]);
  expect(remove).toEqual([torn.name, ...increments.map(({ name }) => name).toReversed()]);
  expect(full).toBeDefined();
});

it('leaves what it cannot read, all that stands on it, and what it stands on', () => {
  const [full, second, third, ...others] = weeks(1);
  const good = sealed('2026-11-08T12:00:00.000Z');
  const points = [full, second, third, ...others].flatMap((each) => (each === undefined ? [] : [each]));
  const unreadable = ({ name }: Point): Point => ({ kind: 'unreadable', name, why: 'a bad sector' });
  const names = points.map(({ name }) => name);
  const below = points.map((each) => (each === full ? unreadable(each) : each));
  const sorted = sortPoints([...below, good], { last: 1 });
  expect(sorted.remove).toEqual([]);
  expect(sorted.spare.map(({ point }) => point)).toEqual(names);
  const between = sortPoints([...points.map((each) => (each === third ? unreadable(each) : each)), good], {
    last: 1,
  });
  expect(between.remove).toEqual([]);
  expect(between.keep.map(({ manifest, why }) => [manifest.point, why])).toEqual([
    [full?.name, ['needed']],
    [second?.name, ['needed']],
    [good.name, ['newest', 'last']],
  ]);
});
