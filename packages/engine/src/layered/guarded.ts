// A copy of layers with the guard beside it: hears the guest alone, then copies as fast as the guest allows.
import {
  Guard,
  type GuardSummary,
  type GuardVerdict,
  hearBaseline,
  LatencySampler,
  superviseCopy,
} from '../guard/index.ts';
import { type GuardBound, ratioOf } from '../model/guard-bound.ts';
import type { Bytes, BytesPerSecond } from '../model/units.ts';
import { readDefinitions } from '../observe/definitions.ts';
import type { Link } from '../run/link.ts';

/** Who feels the copying, and how much of it is allowed. */
export interface Felt {
  readonly link: Link;
  readonly uuid: string;
  /** Target dev; '' for all disks together. */
  readonly disk: string;
  /** Undefined: the copy is not guarded. */
  readonly guard?: GuardBound;
  readonly bandwidth?: BytesPerSecond;
}

/** What reads or writes much beside a guest, at a speed that can be set. */
export interface Bulk {
  run(signal: AbortSignal): Promise<void>;
  /** 0n: no limit. */
  setSpeed(speed: BytesPerSecond): Promise<void>;
  /** What `readFirst` tells goes on before anything is copied. */
  progress(): { readonly copiedNow: Bytes; readonly readFirst?: Bytes };
}

export interface GuardedCopy {
  /** @throws what its run throws */
  run(): Promise<void>;
  verdict(): GuardVerdict | undefined;
  summary(): GuardSummary;
  /** The most it may do; undefined: no limit but the guard's. */
  setBandwidth(limit: BytesPerSecond | undefined): void;
  /** The guard's limit is not obeyed while it is on; --bandwidth is. */
  hurry(on: boolean): void;
}

export function guarded(felt: Felt, copy: Bulk, signal: AbortSignal): GuardedCopy {
  const guard = new Guard({ ratio: felt.guard === undefined ? 'off' : ratioOf(felt.guard) });
  const sampler = new LatencySampler(domainOf(felt), felt.disk, {
    ...(typeof felt.guard === 'object' && { devices: () => devicesOf(felt) }),
  });
  const sample = () => sampler.sample();
  let { bandwidth } = felt;
  let wanted: BytesPerSecond = 0n;
  let hurries = false;
  let verdict: GuardVerdict | undefined;
  const apply = () => copy.setSpeed(least(hurries ? 0n : wanted, bandwidth ?? 0n));
  const run = async (): Promise<void> => {
    await hearBaseline({ guard, sample, signal });
    const ended = new AbortController();
    const supervision = superviseCopy({
      guard,
      sample,
      signal: AbortSignal.any([signal, ended.signal]),
      copied: () => {
        const { copiedNow, readFirst = 0n } = copy.progress();
        return copiedNow === 0n ? readFirst : copiedNow;
      },
      setSpeed: (limit) => {
        wanted = limit;
        return apply();
      },
      report: (latest) => {
        verdict = latest;
      },
    });
    try {
      await copy.run(signal);
    } finally {
      ended.abort();
      await supervision;
      await sampler.close();
    }
  };
  return {
    run,
    verdict: () => verdict,
    summary: () => guard.summary(),
    setBandwidth: (limit) => {
      if (limit === bandwidth) return;
      bandwidth = limit;
      void apply().catch(() => {}); // the copy has ended
    },
    hurry: (on) => {
      if (on === hurries) return;
      hurries = on;
      void apply().catch(() => {}); // the copy has ended
    },
  };
}

/** QEMU's names of the disks that it is felt on. */
async function devicesOf({ link, uuid, disk }: Felt): Promise<readonly string[]> {
  const live = (await readDefinitions(await link.connection(), uuid))?.live;
  return (
    live?.disks().flatMap(({ target, alias }) => (disk === '' || target === disk ? (alias ?? []) : [])) ?? []
  );
}

/** Of two limits, of which 0 is none. */
function least(one: BytesPerSecond, other: BytesPerSecond): BytesPerSecond {
  if (one === 0n) return other;
  return other === 0n || one < other ? one : other;
}

/** Found anew for each sample: the connection may be another one by then, and the domain off. */
function domainOf({ link, uuid }: Felt): ConstructorParameters<typeof LatencySampler>[0] {
  const find = async () => (await link.connection()).lookupDomainByUuid(uuid);
  return {
    blockStats: async (disk) => (await find()).blockStats(disk),
    monitorCommand: async (command) => (await find()).monitorCommand(command),
  };
}
