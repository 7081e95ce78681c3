// What is seen of the two hosts.
import type { MigrationWorld } from '../world.ts';
import { holdsUnseen, isMigrating, type Model } from './model.ts';

export function observe(model: Model): MigrationWorld {
  const { home, away, process, images } = model;
  const stamps = [
    ...(home.state === 'gone' || isMigrating(model) ? [] : [home.stamp]),
    ...(away.state === 'gone' || away.state === 'incoming' ? [] : [away.stamp]),
    model.journal,
  ];
  const [first] = stamps;
  const agree =
    first !== undefined && stamps.every((stamp) => stamp?.phase === first.phase && stamp.goal === first.goal);
  return {
    home: homeOf(model),
    away: away.state === 'paused' || away.state === 'stranded' ? 'arrived' : away.state,
    homeOn: home.state === 'gone' ? 'none' : home.on,
    awayOn: away.state === 'gone' ? 'none' : away.on,
    recorded: agree ? { phase: first.phase, goal: first.goal } : 'not-everywhere',
    claims: model.claimed ? 'all' : 'missing',
    overlayAtHome: images.overlay !== undefined,
    overlayAway: images.overlayAway !== undefined,
    unseenAtHome: holdsUnseen(model) ? 'writes' : 'nothing',
    copiesAway: model.claimed || model.kept.away !== undefined,
    copies: copiesOf(model),
    state: stateOf(model),
    copying: process.copying ? 'running' : 'no',
    crossing:
      process.failed !== undefined ? { failed: process.failed } : isMigrating(model) ? 'running' : 'no',
    relinked: process.relinked,
    overlaysFresh: process.overlaysFresh,
    commitOpen: { ...model.commitOpen },
    starts: 0,
  };
}

function homeOf(model: Model): MigrationWorld['home'] {
  const { state } = model.home;
  if (state === 'gone' || state === 'off') return state;
  if (isMigrating(model)) return 'migrating';
  return state === 'incoming' || state === 'arrived' ? 'paused' : state;
}

function stateOf({ mode, kept, journal }: Model): MigrationWorld['state'] {
  if (journal === undefined || kept.noted === undefined) return 'missing';
  // Of a domain that runs, QEMU brings what is newer.
  if (mode === 'offline' && kept.noted !== kept.home) return 'stale';
  return kept.away === undefined ? 'missing' : 'brought';
}

function copiesOf({ copied, images, mode }: Model): MigrationWorld['copies'] {
  // The copy of a domain that is off is stale once it was started: its image was written to.
  if (copied !== 'no' && mode === 'offline' && images.copy !== images.origin) return 'stale';
  return copied === 'yes' ? 'complete' : 'partial';
}
