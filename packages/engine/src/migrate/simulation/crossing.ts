// libvirt's migration of the two hosts, call by call, and how it ends where a call fails or nobody makes the next.
import { type Model, noProcess, runs } from './model.ts';

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

/** The guest is on its overlay and writes there, and nobody knows of it. */
export function dieFrozen(model: Model): void {
  const { home, images, claimed, journal } = model;
  if (journal?.phase !== 'freezing' || !claimed || home.state !== 'running' || home.on !== 'origin') return;
  model.acknowledged += 1;
  images.overlay = model.acknowledged;
  home.state = 'off';
  die(model);
}
