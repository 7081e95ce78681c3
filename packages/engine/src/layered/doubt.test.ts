// What libvirt says of a domain that somebody defined from an old file, and what is never done unasked then.
import { expect, test } from 'vitest';
import type { LayeredWorld } from '../model/layered-world.ts';
import type { MoveRecord } from '../model/record.ts';
import { decideLayered } from './decide.ts';
import { newModel } from './simulation/model.ts';
import { observe } from './simulation/observing.ts';

const image = (path: string) => ({ source: { kind: 'file', path }, format: 'qcow2' }) as const;

const stamp = { phase: 'settling', goal: 'abort' } as const;
/** The guest was on the destination; now the domain is off, and defined on the source. */
const defined: LayeredWorld = {
  ...observe(newModel(true, 0)),
  domain: 'off',
  live: 'none',
  config: 'origin',
  recorded: { live: 'unavailable', config: stamp, journal: stamp },
};

const aborted: MoveRecord = {
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
  ...stamp,
};

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
