// What a migration does while the domain is nowhere but at home: freezing, copying, crossing, or back.
import { unreachable } from '../model/units.ts';
import { act } from './intent.ts';
import type { MigrationRecord } from './record.ts';
import type { MigrationDecision, MigrationInterruption, MigrationWorld } from './world.ts';

/** The domain is not at the destination, or what is there has never run. */
export function beforeCrossing(world: MigrationWorld, record: MigrationRecord): MigrationDecision {
  const { home } = world;
  if (world.crossing === 'running') {
    if (record.goal === 'away') return { kind: 'wait', wait: { for: 'crossing' } };
    // Nothing can be recorded in the domain while libvirt migrates it: the journal has it.
    return { kind: 'act', phase: record.phase, goal: record.goal, step: { name: 'stop-crossing' } };
  }
  if (home === 'migrating') return { kind: 'wait', wait: { for: 'somebody-else' } };
  // Given away, and never run there: it goes on from where it stands.
  if (home === 'stranded') return act(world, record, record.phase, { name: 'take-back' });
  if (home === 'gone') return onNeither(world, record);
  const unseen = frozenUnseen(world, record);
  if (unseen !== undefined) return unseen;
  if (record.goal === 'home') return goBack(world, record);
  return record.mode === 'live' ? goLive(world, record) : goOffline(world, record);
}

/** Everything at home died right after the snapshot that put the guest on its overlays, before libvirt had noted that. */
function frozenUnseen(world: MigrationWorld, record: MigrationRecord): MigrationDecision | undefined {
  const { home, homeOn, unseenAtHome, commitOpen } = world;
  if (homeOn !== 'origin' || commitOpen.home || unseenAtHome === 'nothing') return undefined;
  if (unseenAtHome === 'both') return { kind: 'ask', question: 'both-written' };
  return home === 'off' ? act(world, record, record.phase, { name: 'define-home' }) : undefined;
}

/** Somebody has undefined it. Its images at home, the overlays too, are left as they are: they may be all there is of it. */
function onNeither(world: MigrationWorld, record: MigrationRecord): MigrationDecision {
  if (record.goal === 'away') return interrupted('domain-gone');
  if (world.copying === 'running') return act(world, record, 'undoing', { name: 'stop-copying' });
  if (world.copiesAway || world.overlayAway) {
    return act(world, record, 'undoing', { name: 'clear-away', what: 'everything' });
  }
  const why = 'the domain is gone; its images at home, overlays included, are left as they are';
  return act(world, record, 'undoing', { name: 'close', outcome: { kind: 'back', why } });
}

function goLive(world: MigrationWorld, record: MigrationRecord): MigrationDecision {
  if (world.home === 'off') return interrupted('domain-off');
  if (typeof world.crossing === 'object') return interrupted('crossing-failed', world.crossing.failed);
  switch (world.homeOn) {
    case 'origin':
      return freeze(world, record);
    case 'overlay':
      return copy(world, record, 'copying') ?? cross(world, record);
    case 'mixed':
    case 'elsewhere':
    case 'none':
      return interrupted('disk-changed');
    default:
      return unreachable(world.homeOn);
  }
}

function freeze(world: MigrationWorld, record: MigrationRecord): MigrationDecision {
  // The guest was on the overlays, and somebody else put it back: what was copied is not what it has now.
  if (record.phase !== 'freezing') return interrupted('disk-changed');
  if (world.claims === 'foreign') return interrupted('destination-taken');
  return act(world, record, 'freezing', { name: world.claims === 'all' ? 'freeze' : 'claim' });
}

/** What is still to be done before anything may depend on the copies. */
function copy(
  world: MigrationWorld,
  record: MigrationRecord,
  phase: 'copying',
): MigrationDecision | undefined {
  if (world.copying === 'running') {
    const { recorded } = world;
    const shown = recorded !== 'not-everywhere' && recorded.phase === phase;
    return shown ? { kind: 'wait', wait: { for: 'layers' } } : act(world, record, phase, { name: 'record' });
  }
  if (world.copying !== 'no') return interrupted('copy-failed', world.copying.failed);
  if (world.claims === 'foreign') return interrupted('destination-taken');
  if (world.copies === 'stale') return interrupted('source-changed');
  if (world.claims === 'missing') return act(world, record, phase, { name: 'claim' });
  if (world.copies !== 'complete') return act(world, record, phase, { name: 'copy' });
  if (!world.relinked) return act(world, record, phase, { name: 'relink' });
  // What has changed at home since is brought anew: nothing there depends on it yet.
  if (world.state === 'missing' || world.state === 'stale')
    return act(world, record, phase, { name: 'bring-state' });
  return undefined;
}

function cross(world: MigrationWorld, record: MigrationRecord): MigrationDecision {
  if (world.home === 'paused') return interrupted('domain-paused');
  if (!world.overlaysFresh) return act(world, record, 'copying', { name: 'prepare' });
  return act(world, record, 'crossing', { name: 'cross' });
}

function goOffline(world: MigrationWorld, record: MigrationRecord): MigrationDecision {
  if (world.home !== 'off') return interrupted('domain-running');
  if (world.homeOn !== 'origin') return interrupted('disk-changed');
  const copying = copy(world, record, 'copying');
  if (copying !== undefined) return copying;
  return act(world, record, 'arriving', { name: 'define-away' });
}

/** Nothing of ours may be left. */
function goBack(world: MigrationWorld, record: MigrationRecord): MigrationDecision {
  if (world.copying === 'running') return act(world, record, 'undoing', { name: 'stop-copying' });
  if (world.homeOn === 'overlay' || world.homeOn === 'mixed' || world.commitOpen.home) {
    return act(world, record, 'undoing', { name: 'return' });
  }
  if (world.homeOn !== 'origin') return interrupted('disk-changed');
  if (world.overlayAtHome) return act(world, record, 'undoing', { name: 'clear-home' });
  if (world.copiesAway || world.overlayAway) {
    return act(world, record, 'undoing', { name: 'clear-away', what: 'everything' });
  }
  const why = record.reason ?? 'aborted';
  return act(world, record, 'undoing', { name: 'close', outcome: { kind: 'back', why } });
}

function interrupted(why: MigrationInterruption, detail?: string): MigrationDecision {
  const outcome = { kind: 'interrupted', why, ...(detail !== undefined && { detail }) } as const;
  return { kind: 'end', outcome };
}
