// The active image alone, the rest of the chain shared.
import type { Bench, Case } from '../bench.ts';
import { compareMoves } from '../moves/compare.ts';
import { blockferryMover } from '../peers/blockferry.ts';
import { virshMover } from '../peers/virsh.ts';
import { benchChain, REFERENCE_RATE } from './shared.ts';

export const shallow: Case = {
  name: 'shallow',
  title: 'Active image alone (--shallow), the guest writing 8 MiB/s',
  run: async (bench: Bench) => {
    const chain = await benchChain(bench);
    const { host, features } = bench;
    return compareMoves(bench, {
      ...{ name: shallow.name, title: shallow.title, chain, scope: 'shallow', rate: REFERENCE_RATE },
      movers: [blockferryMover(host, features, { guard: 'off', verify: 'none' }), virshMover(host)],
      bytes: chain.topBytes,
      capSeconds: 60 + 240 * bench.size,
    });
  },
};
