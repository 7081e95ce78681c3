// Ours, once for each guard that was asked for; once in all where this version has none.
import type { Bench } from '../bench.ts';
import { blockferryMover } from './blockferry.ts';
import type { Mover } from './mover.ts';

export function ourMovers(bench: Bench, verify: 'full' | 'none'): readonly Mover[] {
  const guards = bench.features.guard && bench.features.strategy === 'layered' ? bench.guards : ['off'];
  return guards.map((guard) => blockferryMover(bench.host, bench.features, { guard, verify }));
}
