// All cases, in the order in which they run.
import type { Case } from '../bench.ts';
import { aged, agedVerified } from './aged.ts';
import { backup } from './backup.ts';
import { cutover } from './cutover.ts';
import { fastWriter } from './fast-writer.ts';
import { image } from './image.ts';
import { rpc } from './rpc.ts';
import { shallow } from './shallow.ts';
import { sharedBase } from './shared-base.ts';
import { startUp } from './start-up.ts';
import { verified } from './verified.ts';
import { wholeChain } from './whole-chain.ts';

export const CASES: readonly Case[] = [
  startUp,
  rpc,
  cutover,
  shallow,
  wholeChain,
  verified,
  aged,
  agedVerified,
  fastWriter,
  image,
  sharedBase,
  backup,
];

/** @throws Error for a name that no case has */
export function casesNamed(names: readonly string[]): readonly Case[] {
  if (names.length === 0) return CASES;
  return names.map((name) => {
    const found = CASES.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no case ${name}: ${CASES.map((each) => each.name).join(', ')}`);
    return found;
  });
}
