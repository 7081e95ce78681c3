// What cases have in common: the big chain, made once, and the load that figures are told for.
import type { Bench } from '../bench.ts';
import { type BenchChain, makeBenchChain } from '../moves/chain.ts';

/** Writes of 16 KiB a second. */
export const REFERENCE_RATE = 512;

const chains = new WeakMap<Bench, Promise<BenchChain>>();

/** The chain of the bench's size. Every case finds it as it was: only the guest's own region is written to. */
export function benchChain(bench: Bench): Promise<BenchChain> {
  const made = chains.get(bench) ?? makeBenchChain(bench.host, 'chain', bench.size);
  chains.set(bench, made);
  return made;
}
