// What each step changes on the two hosts.
import type { MigrationStep } from '../world.ts';
import { callOff } from './crossing.ts';
import { holdsUnseen, isMigrating, type Model, runs, type Stamp } from './model.ts';

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
      if (holdsUnseen(model)) model.broken ??= 'an overlay that holds what the guest wrote was made anew';
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
    case 'bring-state':
      model.kept.away = model.kept.home;
      model.kept.noted = model.kept.home;
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
      if (model.kept.away === undefined) model.broken ??= 'libvirt makes NVRAM there, and nobody removes it';
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
      if (model.kept.away !== model.kept.home) model.broken ??= 'it is to start there with another state';
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
    case 'define-home':
      if (home.state !== 'off') model.broken ??= 'defined anew while it runs';
      home.on = 'overlay';
      return undefined;
    case 'clear-home':
      if (holdsUnseen(model)) model.broken ??= 'an overlay that holds what the guest wrote was removed';
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
        delete model.kept.away;
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
