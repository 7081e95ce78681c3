// A destination without room for the overlay, or of another size than the disk, does not cost what was copied already.
import { expect, test } from 'vitest';
import type { LayeredWorld } from '../model/layered-world.ts';
import { layeredMove } from '../model/testing/layered-move.ts';
import { decideLayered } from './decide.ts';

const move = layeredMove();

/** All is copied, and the guest is still on the overlay. */
const copied: LayeredWorld = {
  domain: 'running',
  persistent: true,
  savedOn: undefined,
  live: 'overlay',
  config: 'overlay',
  job: { kind: 'none' },
  recorded: {
    live: { phase: 'copying', goal: 'pivot' },
    config: { phase: 'copying', goal: 'pivot' },
    journal: { phase: 'copying', goal: 'pivot' },
  },
  sameInstance: true,
  overlay: 'ours',
  carrier: 'absent',
  next: 'absent',
  onNext: false,
  unseen: 'nothing',
  growth: undefined,
  shortOfRoom: false,
  resized: undefined,
  destinationFull: false,
  copyFiles: 'ours',
  writtenAt: {},
  remains: true,
  copies: 'complete',
  copying: 'no',
  diverging: false,
  relinked: true,
  overlayFresh: false,
  carrierFresh: false,
  lastLeg: undefined,
  answers: 'not-asked',
  qemuWrites: 'not-asked',
  sourceRemains: false,
  sides: 'not-asked',
  witnessed: 'nothing',
  starts: 0,
};

test('with room, the carrier is made', () => {
  expect(decideLayered(copied, move)).toMatchObject({ kind: 'act', step: { name: 'prepare-carrier' } });
});

test.each(['running', 'off'] as const)('without, it waits for some: the domain is %s', (domain) => {
  const world = { ...copied, domain, live: domain === 'running' ? 'overlay' : 'none' } as const;
  expect(decideLayered({ ...world, shortOfRoom: true }, move)).toEqual({
    kind: 'wait',
    wait: { for: 'room' },
  });
});

test('an abort waits for nothing', () => {
  const decision = decideLayered({ ...copied, shortOfRoom: true }, { ...move, goal: 'abort' });
  expect(decision).toMatchObject({ kind: 'act', phase: 'undoing' });
});

test('a mirror that found the destination full is resumed later; one that failed otherwise is undone', () => {
  const failed = { ...copied, lastLeg: 'switch', witnessed: 'failed', failure: 'full', starts: 1 } as const;
  expect(decideLayered({ ...failed, destinationFull: true }, move)).toMatchObject({
    kind: 'end',
    outcome: { kind: 'interrupted', why: 'copy-failed', detail: 'full' },
  });
  expect(decideLayered(failed, move)).toMatchObject({ kind: 'act', goal: 'abort' });
});

test.each(['overlay', 'carrier'] as const)(
  'on the %s it stops if the disk was resized, and stays there',
  (live) => {
    const resized = { disk: 32n, destination: 16n };
    const phase = live === 'carrier' ? 'collapsing' : 'copying';
    const world: LayeredWorld = { ...copied, live, config: live, carrier: 'ours', resized };
    const recorded = { phase, goal: 'pivot' } as const;
    const known = { ...world, recorded: { live: recorded, config: recorded, journal: recorded } };
    expect(decideLayered(known, { ...move, phase })).toMatchObject({
      kind: 'end',
      outcome: { kind: 'interrupted', why: 'disk-resized' },
    });
  },
);
