// The same for copies, after which the guest is where it was.
import { expect, it } from 'vitest';
import type { LayeredWorld } from '../../model/layered-world.ts';
import { decideLayered } from '../decide.ts';
import { COPIES, check, type Decide } from './play.ts';

const COPY_RUNS = 50_000;

it('keeps every promise of a copy in 50,000 random runs', { timeout: 120_000 }, () => {
  const endings = check(COPY_RUNS, decideLayered, COPIES);
  for (const kind of ['copied', 'back', 'interrupted', 'ask']) {
    expect(endings.get(kind) ?? 0, `runs that end ${kind}`).toBeGreaterThan(COPY_RUNS / 5_000);
  }
});

/** Nothing of the record is waited for. */
const unrecorded = (world: LayeredWorld): LayeredWorld => {
  const places = { live: 'unavailable', config: 'unavailable', journal: 'unavailable' } as const;
  return { ...world, recorded: places };
};

const COPY_MUTANTS: Readonly<Record<string, Decide>> = {
  'takes the guest back before it is on record that the copies stay': (world, move) => {
    const decision = decideLayered(world, move);
    if (decision.kind !== 'act' || decision.step.name !== 'keep-copies') return decision;
    return decideLayered(unrecorded(world), { ...move, phase: 'undoing', goal: 'keep' });
  },
  'does not wait until the layers are copied': (world, move) =>
    decideLayered({ ...world, copies: 'complete' }, move),
  'removes the copies with the overlay': (world, move) => {
    const decision = decideLayered(world, move);
    if (decision.kind !== 'act' || decision.step.name !== 'clear') return decision;
    return { ...decision, step: { name: 'clear', what: 'everything' } };
  },
  'leaves the file systems as they are': (world, move) =>
    decideLayered(world, move.copy === undefined ? move : { ...move, copy: { quiesce: 'auto' } }),
  'leaves the guest slowed': (world, move) => {
    const { brake: _, ...rest } = move;
    return decideLayered(world, rest);
  },
  'waits for a guest that outruns it': (world, move) => decideLayered({ ...world, diverging: false }, move),
  'moves the guest': (world, move) =>
    decideLayered(world, move.goal === 'copy' ? { ...move, goal: 'pivot' } : move),
  'asks the journals again, when the images have changed': (world, move) => {
    if (move.goal !== 'keep' || world.live !== 'overlay') return decideLayered(world, move);
    return decideLayered(world, { ...move, goal: 'copy' });
  },
};

it.each(Object.entries(COPY_MUTANTS))(
  'would notice a copying engine that %s',
  (_, wrong) => {
    expect(() => check(COPY_RUNS, wrong, COPIES)).toThrow();
  },
  120_000,
);
