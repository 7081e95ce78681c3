// What cases have in common: the big chain, made once, and the load that figures are told for.
import type { Bench } from '../bench.ts';
import { type BenchChain, type Layout, makeBenchChain } from '../moves/chain.ts';

/** Writes of 16 KiB a second. */
export const REFERENCE_RATE = 512;

const chains: Record<Layout, WeakMap<Bench, Promise<BenchChain>>> = {
  fresh: new WeakMap(),
  aged: new WeakMap(),
};

/** The chain of the bench's size. Every case finds it as it was: only the guest's own region is written to. */
export function benchChain(bench: Bench, layout: Layout = 'fresh'): Promise<BenchChain> {
  const made = chains[layout].get(bench) ?? makeBenchChain(bench.host, layout, bench.size, layout);
  chains[layout].set(bench, made);
  return made;
}
