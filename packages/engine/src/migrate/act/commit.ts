// Overlays are committed into what is below them: back at home, or into the copies at the destination.
import { runMove } from '../../run/run-move.ts';
import { commitBack, type End } from '../commit-back.ts';
import { CommitHeld } from '../errors.ts';
import type { MigrationScene } from './scene.ts';

/**
 * Disk by disk, each by the loop of a layered move that goes back. What is done is found done.
 *
 * @throws CommitHeld where one cannot end now; what that loop throws
 */
export async function commitAll(scene: MigrationScene, end: End): Promise<void> {
  const { pair, record, signal, tell, passed } = scene;
  for (const disk of record.disks) {
    const move = commitBack(record, disk, end);
    const { ending } = await runMove(pair[end], move, {
      signal,
      report: (report) => {
        if (report.type === 'progress' || report.type === 'warning') tell(report);
      },
      afterStep: (step) => passed(`${end === 'home' ? 'return' : 'collapse'}:${step}`),
    });
    if (ending.kind === 'stopped') return;
    if (ending.kind === 'ask') throw new CommitHeld(disk.target, ending.question, true);
    if (ending.kind === 'interrupted') throw new CommitHeld(disk.target, ending.detail ?? ending.why, false);
  }
}
