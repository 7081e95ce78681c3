// The order in which vitest begins test files: the longest first, so that none of them is left over at the end, alone.
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** By their paths' ends, the longest first. All others follow as vitest orders them: those that it timed before, and by size. */
const LONGEST = [
  'crash/daemon.real.test.ts',
  'crash/backup-sweep.real.test.ts',
  'crash/layered-sweep.real.test.ts',
  'crash/layered.real.test.ts',
  'torture/torture.real.test.ts',
  'crash/ceph.real.test.ts',
  'crash/devices.real.test.ts',
  'crash/rounds.real.test.ts',
  'crash/copies.real.test.ts',
  'crash/sweep.real.test.ts',
  'crash/migrate.real.test.ts',
  'crash/together.real.test.ts',
  'cli/src/article.real.test.ts',
  'crash/migrate-faults.real.test.ts',
  'crash/lost-pivot.real.test.ts',
  'crash/luks-copies.real.test.ts',
  'crash/qemu.real.test.ts',
  'cli/src/inside.real.test.ts',
  'crash/chains.real.test.ts',
  'preflight/luks.real.test.ts',
  'crash/backup-deaths.real.test.ts',
  'crash/backup-luks.real.test.ts',
  'backup/backup.real.test.ts',
  'crash/destination.real.test.ts',
  'crash/converge.real.test.ts',
  'crash/backup-points.real.test.ts',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const ranked = await super.sort(files);
    return ranked.toSorted((one, other) => rank(one) - rank(other));
  }
}

function rank({ moduleId }: TestSpecification): number {
  const at = LONGEST.findIndex((end) => moduleId.endsWith(end));
  return at < 0 ? LONGEST.length : at;
}
