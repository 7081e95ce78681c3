// Carries out one step of a migration. Each may be repeated after a crash at any point.
import { unreachable } from '../../model/units.ts';
import { copyAway, stopCopying } from '../copies.ts';
import { bringStates } from '../state.ts';
import type { MigrationStep } from '../world.ts';
import { claim } from './claim.ts';
import { clearAway, clearHome, close } from './clear.ts';
import { commitAll } from './commit.ts';
import { cross } from './cross.ts';
import { defineHome } from './define-home.ts';
import { freeze } from './freeze.ts';
import { prepareOverlays, relinkCopies } from './prepare.ts';
import { record } from './record.ts';
import type { MigrationScene } from './scene.ts';
import { defineAway, dropAway, leaveHome, runAway, takeBack, undefineHome } from './switch.ts';

export async function actMigration(scene: MigrationScene, step: MigrationStep): Promise<void> {
  switch (step.name) {
    case 'record':
      return record(scene);
    case 'claim':
      return claim(scene);
    case 'freeze':
      return freeze(scene);
    case 'copy':
      return copyAway(scene);
    case 'stop-copying':
      return stopCopying(scene);
    case 'relink':
      return relinkCopies(scene);
    case 'bring-state':
      return bringStates(scene);
    case 'prepare':
      return prepareOverlays(scene);
    case 'cross':
      return cross(scene);
    case 'stop-crossing':
      return scene.memory.crossing?.stop();
    case 'take-back':
      return takeBack(scene);
    case 'drop-away':
      return dropAway(scene);
    case 'define-away':
      return defineAway(scene);
    case 'run-away':
      return runAway(scene);
    case 'leave-home':
      return leaveHome(scene);
    case 'undefine-home':
      return undefineHome(scene);
    case 'collapse':
      return commitAll(scene, 'away');
    case 'return':
      return commitAll(scene, 'home');
    case 'define-home':
      return defineHome(scene);
    case 'clear-home':
      return clearHome(scene);
    case 'clear-away':
      return clearAway(scene, step.what);
    case 'close':
      return close(scene, step.outcome.kind === 'migrated');
    default:
      return unreachable(step);
  }
}
