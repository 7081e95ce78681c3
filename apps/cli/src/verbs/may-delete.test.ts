// Whoever is there to answer is asked before a device is overwritten that seems to hold something.
import { expect, test } from 'vitest';
import type { Io } from '../terminal/io.ts';
import { mayOverwrite } from './may-delete.ts';

const HOLDS = { code: 'destination-holds-data', message: '/dev/sdb holds ext4, which will be overwritten' };

function terminal(answer: string | undefined, canAsk = true) {
  const asked: string[] = [];
  const ask = (question: string) => {
    asked.push(question);
    return Promise.resolve(answer);
  };
  const io: Io = {
    out: () => {},
    outBytes: () => Promise.resolve(true),
    err: () => {},
    errIsTerminal: canAsk,
    canAsk,
    columns: () => 80,
    ask,
  };
  return { io, asked };
}

test.each([
  ['y', true],
  ['yes', true],
  ['', false],
  [undefined, false],
])('%s: %s', async (answer, expected) => {
  const { io, asked } = terminal(answer);
  expect(await mayOverwrite(io, [{ warnings: [HOLDS] }], {})).toBe(expected);
  expect(asked).toEqual(['/dev/sdb holds ext4, which will be overwritten. Go on? [y/N] ']);
});

test('nobody is asked where nothing stands, where nobody is there, or who has said --yes or --json', async () => {
  const { io, asked } = terminal('n');
  expect(await mayOverwrite(io, [{ warnings: [] }], {})).toBe(true);
  for (const options of [{ yes: true }, { json: true }])
    expect(await mayOverwrite(io, [{ warnings: [HOLDS] }], options)).toBe(true);
  expect(await mayOverwrite(terminal('n', false).io, [{ warnings: [HOLDS] }], {})).toBe(true);
  expect(asked).toEqual([]);
});
