// A domain whose memory was saved goes on from the images that it had then: none of them is merged or removed.
import { expect, test } from 'vitest';
import type { LayeredWorld } from '../model/layered-world.ts';
import { layeredMove } from '../model/testing/layered-move.ts';
import { decideLayered } from './decide.ts';
import { newModel } from './simulation/model.ts';
import { observe } from './simulation/observing.ts';

const move = layeredMove();
const stamp = { phase: 'copying', goal: 'pivot' } as const;
const saved: LayeredWorld = {
  ...observe(newModel(true, 0)),
  domain: 'off',
  savedOn: 'overlay',
  live: 'none',
  config: 'overlay',
  overlay: 'ours',
  copyFiles: 'ours',
  copies: 'complete',
  relinked: true,
  recorded: { live: 'unavailable', config: stamp, journal: stamp },
};
const stops = { kind: 'end', outcome: { kind: 'interrupted', why: 'domain-saved' } };

test.each(['overlay', 'carrier'] as const)('on the %s it waits for its domain', (config) => {
  const phase = config === 'carrier' ? 'collapsing' : 'copying';
  const recorded = { ...saved.recorded, config: { ...stamp, phase }, journal: { ...stamp, phase } } as const;
  const world = { ...saved, savedOn: config, config, recorded };
  expect(decideLayered(world, { ...move, phase })).toMatchObject(stops);
});

test('an abort does too', () => {
  const phase = 'undoing' as const;
  const both = { config: { phase, goal: 'abort' }, journal: { phase, goal: 'abort' } } as const;
  const world = { ...saved, recorded: { ...saved.recorded, ...both } };
  expect(decideLayered(world, { ...move, phase, goal: 'abort' })).toMatchObject(stops);
});

test('a copy that is under way goes on meanwhile: nothing depends on it yet', () => {
  expect(decideLayered({ ...saved, copying: 'running', copies: 'partial' }, move)).toEqual({
    kind: 'wait',
    wait: { for: 'layers' },
  });
});

test('one that is on its own image again may be given up', () => {
  const world = { ...saved, config: 'origin' } as const;
  expect(decideLayered(world, { ...move, phase: 'undoing', goal: 'abort' })).toMatchObject({ kind: 'act' });
});
