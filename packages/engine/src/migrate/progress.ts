// How far a migration is: the copies of the frozen images, then what libvirt sends.
import type { Domain } from '@blockferry/libvirt';
import { Progress } from '../run/progress.ts';
import type { ProgressReport } from '../run/report.ts';
import type { MigrationMemory } from './memory.ts';

export class MigrationProgress {
  readonly #copies = new Progress();
  readonly #crossing = new Progress();

  /** What was told last of the copies. */
  get ofCopies(): Progress['latest'] {
    return this.#copies.latest;
  }

  /** Undefined while nothing is under way that can be counted. */
  async look(
    memory: MigrationMemory,
    home: Domain | undefined,
    disk: string,
  ): Promise<ProgressReport | undefined> {
    if (memory.copy?.state() === 'running') {
      return this.#copies.sampleLayers(home, disk, memory.copy.progress());
    }
    if (memory.crossing?.state() !== 'running' || home === undefined) return undefined;
    const { stats } = await home.jobStats().catch(() => ({ stats: {} as Record<string, unknown> }));
    const { data_processed: cur, data_total: end } = stats;
    if (typeof cur !== 'bigint' || typeof end !== 'bigint' || end === 0n) return undefined;
    return this.#crossing.sampleLayers(home, disk, {
      copied: cur,
      copiedBefore: 0n,
      verified: 0n,
      readBack: undefined,
      moved: cur,
      total: end,
      space: 'enough',
      guard: undefined,
    });
  }
}
