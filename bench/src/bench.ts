// What every case works with: the options, the host, what our command line can do, and how to say things.
import type { LibvirtHost } from '@blockferry/testbed';
import type { Features } from './peers/blockferry.ts';
import type { CaseResult } from './result.ts';

export interface Bench {
  readonly host: LibvirtHost;
  readonly size: number;
  readonly repeat: number;
  readonly guards: readonly string[];
  readonly cache: 'default' | 'none';
  readonly features: Features;
  /** A line for whoever watches. */
  readonly say: (text: string) => void;
}

export interface Case {
  readonly name: string;
  readonly title: string;
  readonly run: (bench: Bench) => Promise<CaseResult>;
}

/** The order in which peers run in a round: each is first once in a while. */
export function turn<T>(peers: readonly T[], round: number): readonly T[] {
  const first = round % Math.max(1, peers.length);
  return [...peers.slice(first), ...peers.slice(0, first)];
}
