// What a blockferry process must have ended with, in one line.
import assert from 'node:assert/strict';
import type { Ferry, Result } from './ferry.ts';

/** It ended so. @throws AssertionError with its own words */
export async function ends(ferry: Ferry, outcome: string, exitCode = 0): Promise<Result> {
  const result = await ferry.result();
  assert.deepEqual([result.outcome, result.exitCode], [outcome, exitCode], JSON.stringify(result.error));
  return result;
}

/** It asks a person. */
export async function asks(ferry: Ferry, question: string): Promise<void> {
  const { error } = await ends(ferry, 'question', 5);
  assert.equal(error?.code, question);
}

/** It stopped where `resume` and `abort` go on, and says why. */
export async function interrupted(ferry: Ferry, why: string): Promise<void> {
  const { error } = await ends(ferry, 'interrupted', 4);
  assert.equal(error?.code, why);
}

/** It gave the destination up by itself, and says why. */
export async function goesBack(ferry: Ferry, why: RegExp): Promise<void> {
  const { error } = await ends(ferry, 'back', 1);
  assert.match(error?.message ?? '', why);
}

export async function refuses(ferry: Ferry, code: string): Promise<void> {
  const { error } = await ends(ferry, 'refused', 3);
  assert.equal(error?.code, code);
}
