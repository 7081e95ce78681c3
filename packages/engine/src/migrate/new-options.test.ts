import { expect, test } from 'vitest';
import { withNewOptions } from './new-options.ts';

const recorded = { verify: true, autoConverge: false, bandwidth: 5n, guard: 2 } as const;

test('what is given anew counts, what is not stays, and off takes it away', () => {
  const asked = { migrateUri: 'tcp://10.0.0.2', bandwidth: 'off' } as const;
  expect(withNewOptions(recorded, asked)).toEqual({
    verify: true,
    autoConverge: false,
    guard: 2,
    migrateUri: 'tcp://10.0.0.2',
  });
});

test('nothing is recorded anew where all is as it was', () => {
  expect(withNewOptions(recorded, {})).toBeUndefined();
  expect(withNewOptions(recorded, { bandwidth: 5n as never, verify: true })).toBeUndefined();
});
