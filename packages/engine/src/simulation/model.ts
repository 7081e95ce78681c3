// A model of libvirt, QEMU, the files and blockferry's own process, small enough to run 100,000 times.
// Only tests use it. What it claims about the real ones is checked by the *.real.test.ts files.
import type { Goal, JobMode, MoveRecord, Phase } from '../model/record.ts';
import type { Side, World } from '../model/world.ts';

/** A stored copy of the record. */
export interface Stored {
  phase: Phase;
  goal: Goal;
  use?: 'source' | 'destination';
  synchronousWrites: boolean;
  revision: number;
}

interface Image {
  /** `empty`: claimed; `data`: something was written to it. */
  state: 'absent' | 'empty' | 'data';
  /** Bit n is set when the guest's n-th write is in it. */
  writes: number;
  /** Somebody else's file under our name. */
  foreign: boolean;
  /** A mirror at ready was canceled onto it: complete as of that instant. */
  pointInTime?: boolean;
}

type JobState = 'running' | 'ready' | 'pivoting';

/**
 * libvirtd died in the middle of a pivot, and came back without the domain, with a mirror that is none, or with a live
 * definition from before the pivot.
 */
export type Blindness = 'domain' | 'mirror' | 'pivot';

export interface Model {
  jobMode: JobMode;
  /** The destination existed before and is not ours to remove. */
  reused: boolean;
  /** This libvirt does not correct the persistent definition after a pivot. */
  leavesDefinition: boolean;
  /** Bit n is set when the guest saw its n-th write acknowledged. */
  acknowledged: number;
  writes: number;
  qemu: {
    running: boolean;
    on: Side;
    /** `unshown`: a libvirtd died as it began the copy, and the next one does not know where it goes. */
    job: { state: JobState; synchronous: boolean; unshown?: boolean } | undefined;
    foreignJob: boolean;
  };
  daemon: { up: boolean; blind: Blindness | undefined };
  persistent: boolean;
  config: Side;
  origin: Image;
  destination: Image;
  silent: boolean;
  live: (Stored & { mark: boolean }) | undefined;
  inConfig: Stored | undefined;
  journal: (Stored & { claimed: boolean }) | undefined;
  saved: Side | undefined;
  process: {
    witnessed: World['witnessed'];
    starts: number;
    sides: World['sides'];
    move: MoveRecord | undefined;
  };
  /** Set when somebody other than blockferry and libvirt chose another disk or a stale start. */
  meddled: { config: boolean; staleStart: boolean; wipedAll: boolean; deletedDestination: boolean };
}

export function newModel(jobMode: JobMode, reused: boolean, leavesDefinition: boolean): Model {
  const persistent = jobMode !== 'plain';
  return {
    jobMode,
    reused,
    leavesDefinition,
    acknowledged: 0,
    writes: 0,
    qemu: { running: true, on: 'origin', job: undefined, foreignJob: false },
    daemon: { up: true, blind: undefined },
    persistent,
    config: persistent ? 'origin' : 'none',
    origin: { state: 'data', writes: 0, foreign: false },
    destination: { state: reused ? 'data' : 'absent', writes: 0, foreign: false },
    silent: false,
    live: undefined,
    inConfig: undefined,
    journal: undefined,
    saved: undefined,
    process: { witnessed: 'nothing', starts: 0, sides: 'not-asked', move: undefined },
    meddled: { config: false, staleStart: false, wipedAll: false, deletedDestination: false },
  };
}

/** Does libvirt know that QEMU runs? */
export function libvirtSees(model: Model): boolean {
  return model.qemu.running && model.daemon.blind !== 'domain';
}

/** What blockferry finds when it starts anew: the record that was written last. */
export function findRecord(model: Model): Stored | undefined {
  const places = [model.live, model.inConfig, model.journal].filter((place) => place !== undefined);
  return places.toSorted((one, other) => other.revision - one.revision)[0];
}
