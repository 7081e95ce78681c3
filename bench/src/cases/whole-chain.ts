// The whole chain, as fast as it goes, without verification.
import type { Bench, Case } from '../bench.ts';
import { compareMoves } from '../moves/compare.ts';
import { ourMovers } from '../peers/our-movers.ts';
import { virshMover } from '../peers/virsh.ts';
import { benchChain, REFERENCE_RATE } from './shared.ts';

export const wholeChain: Case = {
  name: 'whole-chain',
  title: 'Whole chain, the guest writing 8 MiB/s',
  run: async (bench: Bench) => {
    const chain = await benchChain(bench);
    return compareMoves(bench, {
      ...{ name: wholeChain.name, title: wholeChain.title, chain, scope: 'chain', rate: REFERENCE_RATE },
      movers: [...ourMovers(bench, 'none'), virshMover(bench.host)],
      bytes: chain.bytes,
      capSeconds: 60 + 240 * bench.size,
      notes: ['virsh blockcopy makes one image of the chain; strategy layered keeps its shape'],
    });
  },
};
