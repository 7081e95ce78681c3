// What a migration does next. Pure: the same look at both hosts and the same record give the same answer.
import { unreachable } from '../model/units.ts';
import { beforeCrossing } from './decide-home.ts';
import { act } from './intent.ts';
import { type MigrationRecord, mayHaveRunAway } from './record.ts';
import type { MigrationDecision, MigrationWorld } from './world.ts';

/**
 * Decides the next step. The domain at the destination is looked at first: what runs there is never given up, and what
 * never ran there never stands in the way of the one at home. In between, `arriving` is what tells: it is recorded before
 * the order to run there is given, and nothing else gives that order (libvirt is told to leave it standing still).
 */
export function decideMigration(world: MigrationWorld, record: MigrationRecord): MigrationDecision {
  switch (world.away) {
    case 'running':
      return onceAway(world, record);
    case 'arrived':
      return whenArrived(world, record);
    case 'incoming':
      return whileIncoming(world, record);
    case 'off':
      return whenOffThere(world, record);
    case 'gone':
      return whenNotThere(world, record);
    case 'foreign':
      if (mayHaveRunAway(record)) return { kind: 'ask', question: 'lost-away' };
      if (record.goal === 'home') return beforeCrossing(world, record);
      return { kind: 'end', outcome: { kind: 'interrupted', why: 'destination-taken' } };
    default:
      return unreachable(world.away);
  }
}

/** It has come whole, and stands still. */
function whenArrived(world: MigrationWorld, record: MigrationRecord): MigrationDecision {
  const { home } = world;
  // Seen to run there: whoever has paused it since had a reason.
  if (record.phase === 'collapsing' || record.phase === 'settling') return onceAway(world, record);
  if (world.crossing === 'running') return { kind: 'wait', wait: { for: 'crossing' } };
  if (home === 'migrating') return { kind: 'wait', wait: { for: 'somebody-else' } };
  if (record.phase === 'arriving') {
    if (isAlive(world)) return { kind: 'ask', question: 'runs-on-both' };
    return act(world, record, 'arriving', { name: 'run-away' });
  }
  // Unless it still stands as it was given away, home may have gone on since, before it ended: what has come is behind it then.
  const isNeeded = home === 'gone' || (home === 'stranded' && record.goal === 'away');
  if (!isNeeded) return act(world, record, record.phase, { name: 'drop-away' });
  return act(world, record, 'arriving', { name: 'run-away' });
}

function whileIncoming(world: MigrationWorld, record: MigrationRecord): MigrationDecision {
  if (world.crossing === 'running') {
    if (record.goal === 'home') return { ...step(record), step: { name: 'stop-crossing' } };
    return { kind: 'wait', wait: { for: 'crossing' } };
  }
  if (world.home === 'migrating') return { kind: 'wait', wait: { for: 'somebody-else' } };
  if (mayHaveRunAway(record)) return { kind: 'wait', wait: { for: 'incoming-end' } };
  // Nobody sends any more, and what did not come whole never ran.
  return act(world, record, record.phase, { name: 'drop-away' });
}

/** It is defined there, and does not run. */
function whenOffThere(world: MigrationWorld, record: MigrationRecord): MigrationDecision {
  // Where it is not at home any more, this is all that there is of it.
  if (mayHaveRunAway(record) || world.home === 'gone') return onceAway(world, record);
  if (world.crossing === 'running') return { kind: 'wait', wait: { for: 'crossing' } };
  return act(world, record, record.phase, { name: 'drop-away' });
}

function whenNotThere(world: MigrationWorld, record: MigrationRecord): MigrationDecision {
  if (!mayHaveRunAway(record)) return beforeCrossing(world, record);
  // To be defined there was intended, and has not happened.
  if (record.mode === 'offline' && world.home === 'off') return beforeCrossing(world, record);
  if (record.goal === 'home') return beforeCrossing(world, record);
  return { kind: 'ask', question: 'lost-away' };
}

/** It runs at the destination, or did: there is no way back, and it must be nowhere else. */
function onceAway(world: MigrationWorld, record: MigrationRecord): MigrationDecision {
  const phase = record.phase === 'settling' ? 'settling' : 'collapsing';
  switch (world.home) {
    case 'running':
    case 'paused':
      return { kind: 'ask', question: 'runs-on-both' };
    case 'migrating': {
      const whom = world.crossing === 'running' ? 'crossing' : 'somebody-else';
      return { kind: 'wait', wait: { for: whom } };
    }
    case 'stranded':
      return act(world, record, phase, { name: 'leave-home' });
    case 'off':
      // A domain that was off is at the destination only if nobody started it at home since it was copied.
      if (record.mode === 'offline' && (world.copies !== 'complete' || world.state === 'stale'))
        return { kind: 'ask', question: 'runs-on-both' };
      return act(world, record, phase, { name: 'undefine-home' });
    case 'gone':
      return settle(world, record);
    default:
      return unreachable(world.home);
  }
}

function settle(world: MigrationWorld, record: MigrationRecord): MigrationDecision {
  if (world.crossing === 'running') return { kind: 'wait', wait: { for: 'crossing' } };
  if (world.awayOn === 'overlay' || world.awayOn === 'mixed' || world.commitOpen.away) {
    return act(world, record, 'collapsing', { name: 'collapse' });
  }
  if (world.awayOn !== 'origin')
    return { kind: 'end', outcome: { kind: 'interrupted', why: 'disk-changed' } };
  if (world.overlayAway) return act(world, record, 'settling', { name: 'clear-away', what: 'overlays' });
  if (world.overlayAtHome) return act(world, record, 'settling', { name: 'clear-home' });
  return act(world, record, 'settling', { name: 'close', outcome: { kind: 'migrated' } });
}

/** It lives at home: it can write there now. */
function isAlive({ home }: MigrationWorld): boolean {
  return home === 'running' || home === 'paused';
}

function step({ phase, goal }: MigrationRecord) {
  return { kind: 'act', phase, goal } as const;
}
