// A guest that writes as fast as it can, one write after the other: whose move ends, and when.
import type { Bench, Case } from '../bench.ts';
import { compareMoves } from '../moves/compare.ts';
import { ourMovers } from '../peers/our-movers.ts';
import { virshMover } from '../peers/virsh.ts';
import { benchChain } from './shared.ts';

export const fastWriter: Case = {
  name: 'fast-writer',
  title: 'Whole chain, the guest writing as fast as it can',
  run: async (bench: Bench) => {
    const chain = await benchChain(bench);
    return compareMoves(bench, {
      ...{ name: fastWriter.name, title: fastWriter.title, chain, scope: 'chain', rate: 'max' },
      movers: [...ourMovers(bench, 'none'), virshMover(bench.host)],
      bytes: chain.bytes,
      capSeconds: 30 + 240 * bench.size,
      notes: [
        'a move that has not ended in time is cut short: then it has no time, and what the guest felt counts',
      ],
    });
  },
};
