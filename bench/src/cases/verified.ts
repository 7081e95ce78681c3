// The whole chain with everything read back and compared before the guest depends on it; virsh has no such thing.
import type { Bench, Case } from '../bench.ts';
import { compareMoves } from '../moves/compare.ts';
import { ourMovers } from '../peers/our-movers.ts';
import { virshMover } from '../peers/virsh.ts';
import { benchChain, REFERENCE_RATE } from './shared.ts';

export const verified: Case = {
  name: 'verified',
  title: 'Whole chain, ours verified, the guest writing 8 MiB/s',
  run: async (bench: Bench) => {
    const chain = await benchChain(bench);
    const ours = bench.features.verify
      ? 'ours reads back and compares; virsh blockcopy does not'
      : 'this version of ours cannot verify: the same as whole-chain';
    return compareMoves(bench, {
      ...{ name: verified.name, title: verified.title, chain, scope: 'chain', rate: REFERENCE_RATE },
      movers: [...ourMovers(bench, 'full'), virshMover(bench.host)],
      bytes: chain.bytes,
      capSeconds: 60 + 240 * bench.size,
      notes: [ours],
    });
  },
};
