// A domain whose memory was saved goes on from the images that it had then: none of them is merged or removed.
import { expect, test } from 'vitest';
import type { LayeredWorld } from '../model/layered-world.ts';
import type { MoveRecord } from '../model/record.ts';
import { decideLayered } from './decide.ts';
import { newModel } from './simulation/model.ts';
import { observe } from './simulation/observing.ts';

const image = (path: string) => ({ source: { kind: 'file', path }, format: 'qcow2' }) as const;

const move: MoveRecord = {
  version: 1,
  id: 'id',
  domain: { name: 'vm', uuid: '00000000-0000-0000-0000-000000000000' },
  disk: 'vda',
  strategy: 'layered',
  layered: {
    layers: [{ from: image('/a'), to: image('/d'), how: 'bytes' }],
    overlay: image('/a.overlay'),
    carrier: image('/d.carrier'),
    verify: true,
  },
  scope: 'chain',
  origin: image('/a'),
  destination: image('/d'),
  ownership: { kind: 'created' },
  sources: [image('/a')],
  jobMode: 'transient-job',
  options: { synchronousWrites: false, converge: false, deleteSource: false },
  destinationXml: '<disk/>',
  phase: 'copying',
  goal: 'pivot',
};
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
