// The bench's own command line.
import { parseArgs } from 'node:util';

export interface BenchArguments {
  /** 1: layers of 2, 1 and 0.5 GiB. */
  readonly size: number;
  /** Empty: all. */
  readonly cases: readonly string[];
  readonly repeat: number;
  /** Our strategy for whole chains; layered where it is there, else mirror. */
  readonly strategy: 'auto' | 'layered' | 'mirror';
  /** The values of --guard that ours is run with. */
  readonly guards: readonly string[];
  /** Of the guests' disks: libvirt's own default, or past the page cache (cache='none' io='native'). */
  readonly cache: 'default' | 'none';
  readonly out: string | undefined;
  readonly list: boolean;
  readonly help: boolean;
}

export const USAGE = `npm run bench -- [options]
  --size SCALE       of the chain of 2 + 1 + 0.5 GiB (default 1; 0.01 for a try)
  --case NAME        only this case; may be given more than once (--list tells the names)
  --repeat N         rounds; the peers take turns in being first (default 3)
  --strategy NAME    ours for whole chains: layered or mirror (default: layered if it is there)
  --guard R          ours with this guard; may be given more than once (default 2 and off)
  --cache MODE       of the guests' disks: default (as libvirt has it) or none (default: default)
  --out DIR          where JSON and SVG go (default bench/results)`;

/** @throws Error for what cannot be read */
export function benchArguments(argv: readonly string[]): BenchArguments {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      size: { type: 'string', default: '1' },
      case: { type: 'string', multiple: true, default: [] },
      repeat: { type: 'string', default: '3' },
      strategy: { type: 'string', default: 'auto' },
      guard: { type: 'string', multiple: true, default: ['2', 'off'] },
      cache: { type: 'string', default: 'default' },
      out: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const { strategy, cache } = values;
  if (cache !== 'default' && cache !== 'none') throw new Error(`--cache ${cache}: default or none`);
  if (strategy !== 'auto' && strategy !== 'layered' && strategy !== 'mirror')
    throw new Error(`--strategy ${strategy}: layered or mirror`);
  return {
    size: numberAbove(0, values.size, '--size'),
    cases: values.case,
    repeat: Math.ceil(numberAbove(0, values.repeat, '--repeat')),
    strategy,
    guards: values.guard,
    cache,
    out: values.out,
    list: values.list,
    help: values.help,
  };
}

function numberAbove(least: number, text: string, option: string): number {
  const value = Number(text);
  if (!(value > least) || !Number.isFinite(value))
    throw new Error(`${option} ${text}: not a number above ${least}`);
  return value;
}
