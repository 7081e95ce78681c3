// The whole chain of a disk that has been written to for years: its data lies in all images, and in no order.
import type { Bench, Case } from '../bench.ts';
import { compareMoves } from '../moves/compare.ts';
import { ourMovers } from '../peers/our-movers.ts';
import { virshMover } from '../peers/virsh.ts';
import { benchChain, REFERENCE_RATE } from './shared.ts';

export const aged = agedCase('aged', 'none', 'Whole chain of an aged disk, the guest writing 8 MiB/s');
export const agedVerified = agedCase(
  'aged-verified',
  'full',
  'Whole chain of an aged disk, ours verified, the guest writing 8 MiB/s',
);

function agedCase(name: string, verify: 'none' | 'full', title: string): Case {
  return {
    name,
    title,
    run: async (bench: Bench) => {
      const chain = await benchChain(bench, 'aged');
      return compareMoves(bench, {
        ...{ name, title, chain, scope: 'chain', rate: REFERENCE_RATE },
        movers: [...ourMovers(bench, verify), virshMover(bench.host)],
        bytes: chain.bytes,
        capSeconds: 60 + 240 * bench.size,
        notes: ['64 KiB of each image lie beside those of another, in no order'],
      });
    },
  };
}
