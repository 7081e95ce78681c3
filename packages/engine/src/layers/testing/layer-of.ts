// A layer of so many windows, of which some are done, without any file.
import type { Host } from '@blockferry/qemu';
import type { CopyJournal } from '../journal.ts';
import { Layer } from '../layer.ts';
import type { LayerPlan } from '../layer-plan.ts';
import { WindowSet } from '../windows.ts';

const image = { location: { kind: 'file', path: '/x' }, format: 'raw' } as const;
const plan: LayerPlan = { from: image, to: image, how: 'bytes', chain: [image], journal: '/j' };

/** Windows of 4 KiB, by index. */
export interface Standing {
  readonly count: number;
  readonly copied: readonly number[];
  readonly verified: readonly number[];
}

export function layerOf(host: Host, { count, copied, verified }: Standing): Layer {
  const journal: CopyJournal = {
    moveId: 'm',
    how: 'bytes',
    cut: { total: BigInt(count) * 4096n, windowBytes: 4096n },
    sources: [],
    destination: { name: '/x' },
    copied: new WindowSet(copied),
    verified: new WindowSet(verified),
    finished: false,
  };
  return new Layer(host, plan, journal, false, new AbortController().signal);
}
