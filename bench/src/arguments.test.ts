import { expect, test } from 'vitest';
import { benchArguments } from './arguments.ts';

test('without options: everything, at full size, three rounds', () => {
  expect(benchArguments([])).toEqual({
    ...{ size: 1, cases: [], repeat: 3, strategy: 'auto' },
    ...{ guards: ['2', 'off'], cache: 'default', out: undefined, list: false, help: false },
  });
});

test('takes several cases and guards', () => {
  const argv = ['--case', 'shallow', '--case', 'rpc', '--size', '0.01', '--guard', '3', '--repeat', '1'];
  expect(benchArguments(argv)).toMatchObject({
    cases: ['shallow', 'rpc'],
    size: 0.01,
    guards: ['3'],
    repeat: 1,
  });
});

test.each([
  ['--size', '0'],
  ['--size', 'big'],
  ['--repeat', '-1'],
  ['--strategy', 'magic'],
  ['--cache', 'some'],
  ['--what'],
  ['x'],
])('%s %s is refused', (...argv) => {
  expect(() => benchArguments(argv)).toThrow();
});
