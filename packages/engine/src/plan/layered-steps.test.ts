// What a plan says of a domain that is off.
import { expect, test } from 'vitest';
import { layeredMove } from '../model/testing/layered-move.ts';
import { copySteps } from './copy-steps.ts';
import { layeredSteps } from './layered-steps.ts';

const move = layeredMove({
  options: { synchronousWrites: false, converge: false, deleteSource: true },
  phase: 'freezing',
});
const { layered } = move;
const said = (steps: ReturnType<typeof layeredSteps>) =>
  steps.map(({ what, leaves }) => `${what} ${leaves}`).join('\n');

test('no guest runs, and nothing is mirrored', () => {
  const off = layeredSteps(move, layered, false);
  expect(off.map(({ step }) => step)).toEqual([
    'claim-files',
    'freeze',
    'copy-layers',
    'relink',
    'walk',
    'walk',
    'clear',
    'delete-source',
    'close',
  ]);
  expect(said(off)).not.toMatch(/guest|mirror/);
  expect(said(layeredSteps(move, layered, true))).toMatch(/mirror .* while the guest runs/s);
});

test('of a copy neither', () => {
  const off = copySteps({ ...move, goal: 'copy' }, layered, { quiesce: 'auto' }, false);
  expect(said(off)).not.toMatch(/guest|file systems/);
  expect(off.map(({ step }) => step)).toContain('walk');
});
