// The pivot as the guest feels it: moves of a disk so small that next to nothing else happens.
import type { Bench, Case } from '../bench.ts';
import { makeBenchChain } from '../moves/chain.ts';
import { compareMoves } from '../moves/compare.ts';
import { ourMovers } from '../peers/our-movers.ts';
import { virshMover } from '../peers/virsh.ts';
import { REFERENCE_RATE } from './shared.ts';

const SMALL = 0.01;

export const cutover: Case = {
  name: 'cutover',
  title: 'A small disk: the longest time in which no write of the guest ended',
  run: async (bench: Bench) => {
    const chain = await makeBenchChain(bench.host, 'small', Math.min(SMALL, bench.size));
    return compareMoves(bench, {
      ...{ name: cutover.name, title: cutover.title, chain, scope: 'chain', rate: REFERENCE_RATE },
      movers: [...ourMovers(bench, 'none'), virshMover(bench.host)],
      bytes: chain.bytes,
      capSeconds: 60,
      notes: ['the guest writes every 2 ms: shorter gaps are its own'],
    });
  },
};
