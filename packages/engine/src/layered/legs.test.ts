// What becomes of a block job that ended without a switch.
import { expect, test } from 'vitest';
import type { LayeredWorld } from '../model/layered-world.ts';
import { layeredMove } from '../model/testing/layered-move.ts';
import { decideLayered } from './decide.ts';
import { newModel } from './simulation/model.ts';
import { observe } from './simulation/observing.ts';

const stamp = { phase: 'collapsing', goal: 'pivot' } as const;
const move = { ...layeredMove(), phase: 'collapsing' } as const;
const failed: LayeredWorld = {
  ...observe(newModel(true, 0)),
  live: 'carrier',
  config: 'carrier',
  sameInstance: true,
  recorded: { live: stamp, config: stamp, journal: stamp },
  lastLeg: 'collapse',
  witnessed: 'failed',
  failure: 'the copy failed',
  starts: 1,
};
const stops = {
  kind: 'end',
  outcome: { kind: 'interrupted', why: 'copy-failed', detail: 'the copy failed' },
};

test('the commit of the carrier is begun again while the server answers, and not for ever', () => {
  const again = { kind: 'act', step: { name: 'start-leg', leg: 'collapse' } };
  expect(decideLayered({ ...failed, answers: 'yes' }, move)).toMatchObject(again);
  expect(decideLayered({ ...failed, answers: 'yes', starts: 25 }, move)).toMatchObject(stops);
});

test.each(['silent', 'not-asked'] as const)(
  'with a server that is %s it stops, to be gone on with',
  (answers) => {
    expect(decideLayered({ ...failed, answers }, move)).toMatchObject(stops);
  },
);

test('one that somebody else has canceled is not begun again', () => {
  const canceled = { ...failed, witnessed: 'canceled', answers: 'yes' } as const;
  expect(decideLayered(canceled, move)).toMatchObject({ kind: 'end', outcome: { why: 'copy-failed' } });
});
