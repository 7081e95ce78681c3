// What a plan says of a domain that is off.
import { expect, test } from 'vitest';
import type { MoveRecord } from '../model/record.ts';
import { copySteps } from './copy-steps.ts';
import { layeredSteps } from './layered-steps.ts';

const image = (path: string) => ({ source: { kind: 'file', path }, format: 'qcow2' }) as const;
const layered = {
  layers: [{ from: image('/old/web'), to: image('/new/web'), how: 'bytes' }],
  overlay: image('/old/overlay'),
  carrier: image('/new/carrier'),
  verify: true,
} as const;
const move: MoveRecord = {
  version: 1,
  id: 'c0ffee01',
  domain: { name: 'web', uuid: '11111111-2222-3333-4444-555555555555' },
  disk: 'vda',
  strategy: 'layered',
  layered,
  scope: 'chain',
  origin: image('/old/web'),
  destination: image('/new/web'),
  ownership: { kind: 'created' },
  sources: [image('/old/web')],
  jobMode: 'transient-job',
  options: { synchronousWrites: false, converge: false, deleteSource: true },
  destinationXml: '',
  phase: 'freezing',
  goal: 'pivot',
};
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
