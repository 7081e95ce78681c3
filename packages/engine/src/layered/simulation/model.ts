// A model of libvirt, QEMU and the files of a layered move, small enough to run 100,000 times. Only tests use it.
import type { Claim, KnownPlace, LayeredWorld, Leg, Place } from '../../model/layered-world.ts';
import { LEGS } from '../../model/layered-world.ts';
import type { Goal, MoveRecord, Phase } from '../../model/record.ts';
import { unreachable } from '../../model/units.ts';

export interface Stored {
  phase: Phase;
  goal: Goal;
  use?: 'source' | 'destination';
  revision: number;
  /** Rounds that were begun, and whether another is planned. */
  rounds: number;
  next: boolean;
  /** Of a copy: the guest's file systems are about to be frozen, or may still be. */
  quiescing: boolean;
  /** The guest's writes are slowed, or may be. */
  braked: boolean;
}

/** Bit n of `writes` is set when the guest's n-th write went into this image itself. */
interface Image {
  claim: Claim;
  writes: number;
  writtenAt: bigint;
}

export interface Model {
  /** Grows with every write to any image. */
  clock: bigint;
  images: Record<KnownPlace, Image>;
  next: Image;
  /** The overlay that the guest is to be put on: whoever made it died. */
  halfMade: boolean;
  /** All overlays that were frozen, and their copies. */
  frozen: Image;
  frozenCopies: number;
  /** The overlay grows past what a mirror is left with so many times. */
  growsTimes: number;
  acknowledged: number;
  writes: number;
  qemu: {
    running: boolean;
    on: Place;
    /** With `on` the overlay: on the next one. */
    onNext: boolean;
    job: { leg: Leg; state: 'running' | 'ready' | 'pivoting' } | undefined;
  };
  foreignJob: boolean;
  daemonUp: boolean;
  persistent: boolean;
  config: Place;
  configOnNext: boolean;
  copies: LayeredWorld['copies'];
  /** What a copy must have at the least: all that was acknowledged when the guest was last seen to go to the overlay. */
  frozenAt: number;
  /** The guest's file systems stand still. */
  stands: boolean;
  /** The guest writes as fast as its overlay is committed back; unless QEMU slows it. */
  outruns: boolean;
  slowed: boolean;
  /** libvirtd is about to die in the middle of a snapshot that quiesces. */
  diesInFreeze: 'no' | 'before' | 'after';
  live: (Stored & { mark: boolean }) | undefined;
  inConfig: Stored | undefined;
  journal: Stored | undefined;
  process: {
    copying: LayeredWorld['copying'];
    relinked: boolean;
    overlayFresh: boolean;
    carrierFresh: boolean;
    lastLeg: Leg | undefined;
    witnessed: LayeredWorld['witnessed'];
    starts: number;
    sides: LayeredWorld['sides'];
    move: MoveRecord | undefined;
  };
  meddled: boolean;
  /** The record shows that the guest was on the overlay, or somebody has defined the domain on what it was on before. */
  leftKnowingly: boolean;
  /** The destination is no file: it was there before and stays, and nobody tells when it was written to. */
  device: boolean;
  /** When the copies were complete, as long as their journals are there. */
  copiedAt: bigint | undefined;
}

export const freshProcess = (): Model['process'] => ({
  copying: 'no',
  relinked: false,
  overlayFresh: false,
  carrierFresh: false,
  lastLeg: undefined,
  witnessed: 'nothing',
  starts: 0,
  sides: 'not-asked',
  move: undefined,
});

export const absent = (): Image => ({ claim: 'absent', writes: 0, writtenAt: 0n });

export function newModel(persistent: boolean, growsTimes: number, device = false): Model {
  return {
    clock: 0n,
    images: {
      origin: { claim: 'ours', writes: 0, writtenAt: 0n },
      overlay: absent(),
      carrier: absent(),
      destination: device ? { claim: 'unknown', writes: 0, writtenAt: 0n } : absent(),
    },
    next: absent(),
    halfMade: false,
    frozen: absent(),
    frozenCopies: 0,
    growsTimes,
    acknowledged: 0,
    writes: 0,
    qemu: { running: true, on: 'origin', onNext: false, job: undefined },
    foreignJob: false,
    daemonUp: true,
    persistent,
    config: persistent ? 'origin' : 'none',
    configOnNext: false,
    copies: 'partial',
    frozenAt: 0,
    stands: false,
    outruns: false,
    slowed: false,
    diesInFreeze: 'no',
    live: undefined,
    inConfig: undefined,
    journal: undefined,
    process: freshProcess(),
    meddled: false,
    leftKnowingly: false,
    device,
    copiedAt: undefined,
  };
}

/** What a guest on this image reads. */
export function viewOf(model: Model, place: Place): number {
  const { images } = model;
  switch (place) {
    case 'origin':
      return images.origin.writes;
    case 'overlay':
      return images.origin.writes | writesAbove(model, 'return');
    case 'carrier':
      return images.destination.writes | writesAbove(model, 'collapse');
    case 'destination':
      return images.destination.writes;
    case 'elsewhere':
    case 'none':
      return 0;
    default:
      return unreachable(place);
  }
}

/** What the leg brings to its end: a commit takes along all images above that. */
export function writesAbove(model: Model, leg: Leg): number {
  const { images, next, frozen, frozenCopies } = model;
  switch (leg) {
    case 'switch':
      return images.overlay.writes;
    case 'collapse':
      return frozenCopies | images.carrier.writes;
    case 'return':
      return frozen.writes | images.overlay.writes | (isOnNext(model) ? next.writes : 0);
    default:
      return unreachable(leg);
  }
}

export function isOnNext({ qemu, persistent, config, configOnNext, next }: Model): boolean {
  if (qemu.running) return qemu.on === 'overlay' && qemu.onNext;
  return persistent ? config === 'overlay' && configOnNext : next.claim === 'ours';
}

export function findRecord({ live, inConfig, journal }: Model): Stored | undefined {
  const places = [live, inConfig, journal].filter((place) => place !== undefined);
  return places.toSorted((one, other) => other.revision - one.revision)[0];
}

export function latest(writtenAt: bigint, frozen: Image): bigint {
  return writtenAt > frozen.writtenAt ? writtenAt : frozen.writtenAt;
}

/** A job that the guest outruns does not become ready. */
export function becomeReady(model: Model): void {
  const { job } = model.qemu;
  if (job === undefined || job.state === 'pivoting') return;
  copyAlong(model, job.leg);
  if (job.leg !== 'return' || !model.outruns || model.slowed) job.state = 'ready';
}

/** QEMU carries the order out by itself, whether libvirtd is there to see it or not. */
export function finishSwitch(model: Model): void {
  const { job } = model.qemu;
  if (!model.qemu.running || job?.state !== 'pivoting') return;
  copyAlong(model, job.leg);
  model.qemu.job = undefined;
  model.qemu.on = LEGS[job.leg].to;
  if (model.daemonUp && model.config === LEGS[job.leg].from) model.config = LEGS[job.leg].to;
}

export function copyAlong(model: Model, leg: Leg): void {
  write(model, LEGS[leg].to, writesAbove(model, leg));
}

/** Puts writes into an image. */
export function write(model: Model, place: KnownPlace, writes: number): void {
  model.clock += 1n;
  const image = model.images[place];
  image.writes |= writes;
  image.writtenAt = model.clock;
  // Their journals know the time of the images that they are of.
  if (place === 'origin' && model.copies === 'complete') model.copies = 'stale';
}

export function make(model: Model, place: KnownPlace): void {
  model.clock += 1n;
  model.images[place] = { claim: 'ours', writes: 0, writtenAt: model.clock };
}
