// A whole bench: one host, the storage's own limit, then case after case.
import { type LibvirtHost, startLibvirtHost } from '@blockferry/testbed';
import type { BenchArguments } from './arguments.ts';
import type { Bench, Case } from './bench.ts';
import { casesNamed } from './cases/index.ts';
import { benchChain } from './cases/shared.ts';
import { dropCachesOf } from './measure/caches.ts';
import { describeMachine, QUIET_LOAD } from './measure/machine.ts';
import { type StorageLimit, storageLimit } from './measure/storage-limit.ts';
import { featuresOf } from './peers/blockferry.ts';
import type { Report } from './report/report.ts';
import type { CaseResult } from './result.ts';

/** A case that cannot be run, and a peer that fails, are told in the case's notes. */
export async function runBench(wanted: BenchArguments, say: (text: string) => void): Promise<Report> {
  const cases = casesNamed(wanted.cases);
  const machine = await describeMachine();
  const features = await featuresOf(wanted.strategy);
  await using host = await startLibvirtHost({ name: 'bf-bench' });
  const bench = makeBench(host, wanted, { features, say });
  say(
    `strategy ${features.strategy}; chain of ${(3.5 * wanted.size).toFixed(2)} GiB; ${wanted.repeat} rounds`,
  );
  const limit = await limitOf(bench);
  const results: CaseResult[] = [];
  for (const each of cases) {
    say(`${each.name} ...`);
    results.push(await resultOf(each, bench));
  }
  return {
    version: 1,
    at: new Date().toISOString(),
    machine,
    ...{ size: wanted.size, repeat: wanted.repeat, strategy: features.strategy, cache: wanted.cache },
    quiet: machine.loadAtStart < QUIET_LOAD,
    limit,
    cases: results,
  };
}

async function resultOf(wanted: Case, bench: Bench): Promise<CaseResult> {
  try {
    const { name, title, figures, ratios, notes } = await wanted.run(bench);
    return { name, title, figures, ratios, notes };
  } catch (error) {
    // An hour's figures of other cases are not thrown away for it.
    const { name, title } = wanted;
    return {
      name,
      title,
      figures: [],
      ratios: [],
      notes: [`FAILED: ${error instanceof Error ? error.message : error}`],
    };
  }
}

function makeBench(
  host: LibvirtHost,
  { size, repeat, guards, cache }: BenchArguments,
  more: Pick<Bench, 'features' | 'say'>,
): Bench {
  return { host, size, repeat, guards, cache, ...more };
}

async function limitOf(bench: Bench): Promise<StorageLimit> {
  const { base, directory, baseBytes } = await benchChain(bench);
  await dropCachesOf(directory);
  const limit = await storageLimit(bench.host.imagesDir, base.path, baseBytes);
  bench.say(
    `the storage: read ${limit.readMBps.toFixed(0)} and write ${limit.writeMBps.toFixed(0)} MB/s at once`,
  );
  return limit;
}
