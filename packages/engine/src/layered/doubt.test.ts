// What libvirt says of a domain that somebody defined from an old file, and what is never done unasked then.
import { expect, test } from 'vitest';
import type { LayeredWorld } from '../model/layered-world.ts';
import { layeredMove } from '../model/testing/layered-move.ts';
import { decideLayered } from './decide.ts';
import { newModel } from './simulation/model.ts';
import { observe } from './simulation/observing.ts';

const stamp = { phase: 'settling', goal: 'abort' } as const;
/** The guest was on the destination; now the domain is off, and defined on the source. */
const defined: LayeredWorld = {
  ...observe(newModel(true, 0)),
  domain: 'off',
  live: 'none',
  config: 'origin',
  recorded: { live: 'unavailable', config: stamp, journal: stamp },
};

const aborted = layeredMove(stamp);

test('an abort does not throw away a device that does not tell whether the guest wrote to it last', () => {
  const world: LayeredWorld = { ...defined, copyFiles: 'unknown', writtenAt: { origin: 5n } };
  expect(decideLayered(world, aborted)).toMatchObject({
    outcome: { kind: 'interrupted', why: 'disk-changed' },
  });
});

test('a file that was written to last is what the domain is defined on again', () => {
  const world: LayeredWorld = { ...defined, copyFiles: 'ours', writtenAt: { origin: 5n, destination: 6n } };
  expect(decideLayered(world, aborted)).toMatchObject({
    step: { name: 'define-on', place: 'destination' },
  });
});

test('where the destination is gone there is nothing to lose', () => {
  const world: LayeredWorld = { ...defined, copyFiles: 'absent', writtenAt: { origin: 5n } };
  expect(decideLayered(world, aborted)).toMatchObject({ kind: 'act', phase: 'undoing' });
});
