// Two hosts as libvirt and QEMU behave in a migration, small enough to be played through many thousands of times.
import type { MigrationGoal, MigrationPhase, MigrationRecord } from '../record.ts';

/** Where libvirt's migration is; each is reached by one call. */
export type Crossing = 'begun' | 'prepared' | 'performed' | 'finished' | 'recorded' | 'ran' | 'confirmed';

export type Stamp = {
  readonly phase: MigrationPhase;
  readonly goal: MigrationGoal;
  readonly revision: number;
};

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
  /** What it keeps beside its disks, on each side, by how often it ran at home; `noted`: what the journal says was brought. */
  kept: { home: number; away?: number; noted?: number };
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

export const noProcess = (): Model['process'] => ({
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
    kept: { home: 0 },
    claimed: false,
    copied: 'no',
    commitOpen: { home: false, away: false },
    process: noProcess(),
    meddled: false,
    broken: undefined,
  };
}

export const isMigrating = ({ process }: Model): boolean =>
  process.crossing !== undefined && process.crossing !== 'confirmed';

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
export function runs(model: Model, side: 'home' | 'away'): void {
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

/** The overlay at home has what no definition leads to. */
export function holdsUnseen({ home, images }: Model): boolean {
  const { overlay, origin } = images;
  return home.state !== 'gone' && home.on === 'origin' && overlay !== undefined && overlay > origin;
}
