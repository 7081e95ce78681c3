// Two hosts as libvirt and QEMU behave in a migration, small enough to be played through many thousands of times.
import type { MigrationGoal, MigrationPhase, MigrationRecord } from '../record.ts';
import type { MigrationStep, MigrationWorld } from '../world.ts';

/** Where libvirt's migration is; each is reached by one call. */
export type Crossing = 'begun' | 'prepared' | 'performed' | 'finished' | 'recorded' | 'ran' | 'confirmed';

type Stamp = { readonly phase: MigrationPhase; readonly goal: MigrationGoal; readonly revision: number };

type Side = {
  state: 'running' | 'paused' | 'stranded' | 'incoming' | 'arrived' | 'off' | 'gone';
  on: 'origin' | 'overlay';
  stamp: Stamp | undefined;
};

export type Model = {
  readonly mode: MigrationRecord['mode'];
  home: Side;
  away: Side;
  journal: Stamp | undefined;
  /** Writes that the guest was told are flushed, and how many of them each image shows; undefined: it is not there. */
  acknowledged: number;
  images: { origin: number; overlay?: number; copy?: number; overlayAway?: number };
  claimed: boolean;
  copied: 'no' | 'partly' | 'yes';
  commitOpen: { home: boolean; away: boolean };
  /** Lost when the process dies. */
  process: {
    crossing: Crossing | undefined;
    failed: string | undefined;
    copying: boolean;
    relinked: boolean;
    overlaysFresh: boolean;
  };
  /** Somebody resumed or started it by hand: running on both is then no fault of ours. */
  meddled: boolean;
  /** What must never happen, as soon as it has. */
  broken: string | undefined;
};

const noProcess = (): Model['process'] => ({
  crossing: undefined,
  failed: undefined,
  copying: false,
  relinked: false,
  overlaysFresh: false,
});

export function newModel(mode: Model['mode']): Model {
  return {
    mode,
    home: { state: mode === 'live' ? 'running' : 'off', on: 'origin', stamp: undefined },
    away: { state: 'gone', on: 'origin', stamp: undefined },
    journal: undefined,
    acknowledged: 0,
    images: { origin: 0 },
    claimed: false,
    copied: 'no',
    commitOpen: { home: false, away: false },
    process: noProcess(),
    meddled: false,
    broken: undefined,
  };
}

const isMigrating = ({ process }: Model): boolean =>
  process.crossing !== undefined && process.crossing !== 'confirmed';

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
    copiesAway: model.claimed,
    copies: copiesOf(model),
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

function copiesOf({ copied, images, mode }: Model): MigrationWorld['copies'] {
  // The copy of a domain that is off is stale once it was started: its image was written to.
  if (copied !== 'no' && mode === 'offline' && images.copy !== images.origin) return 'stale';
  return copied === 'yes' ? 'complete' : 'partial';
}

/** The newest record, as `stored`. */
export function stampOf({ home, away, journal }: Model): Stamp | undefined {
  const stamps = [
    home.state === 'gone' ? undefined : home.stamp,
    away.state === 'gone' ? undefined : away.stamp,
    journal,
  ];
  return stamps.reduce(
    (best, each) => (each && each.revision > (best?.revision ?? -1) ? each : best),
    undefined,
  );
}

/** Everything that was acknowledged must be on the disk that it runs on. */
function runs(model: Model, side: 'home' | 'away'): void {
  const other = side === 'home' ? model.away : model.home;
  if (other.state === 'running' && !model.meddled) model.broken ??= `runs on both, ${side} last`;
  model[side].state = 'running';
  if (model.meddled) return;
  const shown = shownOn(model, side);
  if (shown !== model.acknowledged)
    model.broken ??= `runs ${side} with ${shown} of ${model.acknowledged} writes`;
}

export function shownOn({ home, away, images }: Model, side: 'home' | 'away'): number | undefined {
  const { on } = side === 'home' ? home : away;
  if (side === 'home') return on === 'overlay' ? images.overlay : images.origin;
  return on === 'overlay' ? images.overlayAway : images.copy;
}

function writeOn(model: Model, side: 'home' | 'away'): void {
  const { on } = model[side];
  const { images } = model;
  if (side === 'home' && on === 'overlay') images.overlay = model.acknowledged;
  else if (side === 'home') images.origin = model.acknowledged;
  else if (on === 'overlay') images.overlayAway = model.acknowledged;
  else images.copy = model.acknowledged;
}

export function guestWrites(model: Model): void {
  for (const side of ['home', 'away'] as const) {
    if (model[side].state !== 'running') continue;
    model.acknowledged += 1;
    writeOn(model, side);
  }
}

/** One call of libvirt's migration. */
export function crossOn(model: Model): void {
  const { process, home, away, images } = model;
  switch (process.crossing) {
    case 'begun':
      away.state = 'incoming';
      away.on = 'overlay';
      away.stamp = home.stamp;
      process.crossing = 'prepared';
      return;
    case 'prepared':
      home.state = 'stranded';
      images.overlayAway = images.overlay ?? 0;
      process.crossing = 'performed';
      return;
    case 'performed':
      if (model.journal?.goal === 'home') callOff(model, 'it was aborted');
      else {
        away.state = 'arrived';
        process.crossing = 'finished';
      }
      return;
    case 'finished': {
      if (away.state !== 'arrived') {
        callOff(model, 'it is gone');
        return;
      }
      const stamp = {
        phase: 'arriving',
        goal: 'away',
        revision: (model.journal?.revision ?? 0) + 1,
      } as const;
      model.journal = stamp;
      away.stamp = stamp;
      process.crossing = 'recorded';
      return;
    }
    case 'recorded':
      if (away.state === 'arrived') runs(model, 'away');
      process.crossing = 'ran';
      return;
    case 'ran':
      if (home.state !== 'gone') home.state = 'off';
      process.crossing = 'confirmed';
      return;
    case 'confirmed':
    case undefined:
      return;
  }
}

/** As libvirt does when a call fails, and when whoever made the calls is gone; from `finished` on it keeps what came. */
function letGo({ process, home, away }: Model): void {
  const { crossing } = process;
  if (crossing === undefined || crossing === 'confirmed') return;
  if (away.state === 'incoming') away.state = 'gone';
  // Given away whole and not taken up: it stands still until somebody decides.
  if (home.state === 'stranded' && (crossing === 'begun' || crossing === 'prepared')) home.state = 'running';
}

/** An error while we live: what was prepared is called off, and home is resumed. */
export function callOff(model: Model, why: string): void {
  const { process, home } = model;
  const { crossing } = process;
  if (crossing === undefined || crossing === 'confirmed') return;
  letGo(model);
  const mayGoOn = crossing === 'begun' || crossing === 'prepared' || crossing === 'performed';
  if (mayGoOn && home.state === 'stranded') runs(model, 'home');
  process.crossing = undefined;
  process.failed = why;
}

export function die(model: Model): void {
  letGo(model);
  model.process = noProcess();
}

export function write(model: Model, stamp: Stamp): void {
  model.journal = stamp;
  if (model.home.state !== 'gone' && !isMigrating(model)) model.home.stamp = stamp;
  if (model.away.state !== 'gone' && model.away.state !== 'incoming') model.away.stamp = stamp;
}

/** Carries out a step. Returns how it has ended with it. */
export function act(model: Model, stamp: Stamp, step: MigrationStep): string | undefined {
  const { home, away, images, process } = model;
  switch (step.name) {
    case 'record':
      write(model, { ...stamp, revision: stamp.revision + 1 });
      return undefined;
    case 'claim':
      model.claimed = true;
      return undefined;
    case 'freeze':
      images.overlay = images.origin;
      home.on = 'overlay';
      return undefined;
    case 'copy':
      process.copying = true;
      model.copied = 'partly';
      images.copy = images.origin;
      return undefined;
    case 'stop-copying':
      process.copying = false;
      return undefined;
    case 'relink':
      process.relinked = true;
      return undefined;
    case 'prepare':
      if (away.state !== 'gone') model.broken ??= 'overlays made anew under a domain';
      images.overlayAway = images.copy ?? -1;
      process.overlaysFresh = true;
      return undefined;
    case 'cross':
      process.overlaysFresh = false;
      process.failed = undefined;
      process.crossing = 'begun';
      return undefined;
    case 'stop-crossing':
      if (process.crossing === 'begun' || process.crossing === 'prepared') callOff(model, 'aborted');
      return undefined;
    case 'take-back':
      if (home.state === 'stranded') runs(model, 'home');
      return undefined;
    case 'drop-away':
      if (away.state === 'running') model.broken ??= 'what runs at the destination was removed';
      away.state = 'gone';
      return undefined;
    case 'define-away':
      away.state = 'off';
      away.on = 'origin';
      away.stamp = stamp;
      return undefined;
    case 'run-away':
      if (away.state !== 'running') runs(model, 'away');
      return undefined;
    case 'leave-home':
      if (home.state === 'running') model.broken ??= 'what runs at home was ended';
      home.state = 'off';
      return undefined;
    case 'undefine-home':
      if (home.state === 'running') model.broken ??= 'what runs at home was undefined';
      else home.state = 'gone';
      return undefined;
    case 'collapse':
      return commit(model, 'away');
    case 'return':
      return commit(model, 'home');
    case 'clear-home':
      if (home.state !== 'gone' && home.on === 'overlay') model.broken ??= 'the overlay in use was removed';
      delete images.overlay;
      return undefined;
    case 'clear-away':
      if (away.state !== 'gone' && (away.on === 'overlay' || step.what === 'everything')) {
        model.broken ??= 'images in use at the destination were removed';
      }
      delete images.overlayAway;
      if (step.what === 'everything') {
        model.claimed = false;
        model.copied = 'no';
        delete images.copy;
      }
      return undefined;
    case 'close':
      home.stamp = undefined;
      away.stamp = undefined;
      model.journal = undefined;
      return step.outcome.kind;
  }
}

/** A commit may be cut off in its middle, and is found done or begun again. */
function commit(model: Model, end: 'home' | 'away'): undefined {
  const side = model[end];
  const { images } = model;
  model.commitOpen[end] = false;
  if (side.on !== 'overlay') return undefined;
  if (end === 'home') images.origin = images.overlay ?? 0;
  else images.copy = images.overlayAway ?? 0;
  side.on = 'origin';
  return undefined;
}
