// Every promise of strategy `layered`, against random interleavings of steps, crashes, failures and other people.
import { expect, it } from 'vitest';
import { decideLayered } from '../decide.ts';
import { check, type Decide } from './play.ts';

const RUNS = 100_000;

it('keeps every promise in 100,000 random runs', { timeout: 120_000 }, () => {
  const endings = check(RUNS, decideLayered);
  for (const kind of ['moved', 'back', 'interrupted', 'ask', 'ready']) {
    expect(endings.get(kind) ?? 0, `runs that end ${kind}`).toBeGreaterThan(RUNS / 5_000);
  }
});

/** Wrong engines that the simulation must notice. */
const MUTANTS: Readonly<Record<string, Decide>> = {
  'does not wait until the layers are copied': (world, move) =>
    decideLayered({ ...world, copies: 'complete' }, move),
  'puts the guest on an overlay that was used before': (world, move) =>
    decideLayered({ ...world, overlayFresh: true, sameInstance: true }, move),
  'does not look at what an overlay holds before it is used, or made anew': (world, move) =>
    decideLayered({ ...world, unseen: 'nothing' }, move),
  'takes a used carrier for a new one': (world, move) =>
    decideLayered({ ...world, carrierFresh: true }, move),
  'believes that a lost switch did not happen': (world, move) =>
    decideLayered(world, move.phase === 'pivoting' ? { ...move, use: 'source' } : move),
  'leaves the definition as it is': (world, move) => {
    const decision = decideLayered(world, move);
    if (decision.kind !== 'act' || decision.step.name !== 'define-on') return decision;
    return decideLayered({ ...world, config: world.live }, move);
  },
};

it.each(Object.entries(MUTANTS))(
  'would notice an engine that %s',
  (_, wrong) => {
    expect(() => check(RUNS, wrong)).toThrow();
  },
  120_000,
);
