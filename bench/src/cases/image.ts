// One image of a running machine's disk, read back and compared, while its guest writes as fast as it can.
import type { Bench, Case } from '../bench.ts';
import { compareMoves } from '../moves/compare.ts';
import { blockferryImager, virshImager } from '../peers/imagers.ts';
import { benchChain } from './shared.ts';

export const image: Case = {
  name: 'image',
  title: 'One image of the disk, the guest writing as fast as it can',
  run: async (bench: Bench) => {
    const chain = await benchChain(bench);
    const ours = bench.guards.map((guard) => blockferryImager(bench.host, guard));
    return compareMoves(bench, {
      ...{ name: image.name, title: image.title, chain, scope: 'chain', rate: 'max' },
      movers: [...ours, virshImager(bench.host)],
      bytes: chain.bytes,
      capSeconds: 60 + 240 * bench.size,
      notes: ['ours reads back and compares; virsh blockcopy does not'],
    });
  },
};
