// What one process remembers of a move between two looks at the world. All of it may be lost without harm.

import type { GuardSummary, GuardVerdict } from '../guard/index.ts';
import type { Leg } from '../model/layered-world.ts';
import type { Bytes, BytesPerSecond, Millis } from '../model/units.ts';
import type { World } from '../model/world.ts';
import type { FileIdentity } from '../record/journal.ts';

/** A copy of frozen layers, from its start to its end. */
export interface BackgroundCopy {
  /** `wayLost`: it had run for a while when the way to the host was lost, and may begin again where it was. */
  state(): 'running' | 'done' | { readonly failed: string; readonly wayLost: boolean };
  /** Resolves when it has ended, however it has. */
  readonly over: Promise<void>;
  progress(): LayersProgress;
  /** What the guest felt of it. */
  guard(): GuardSummary;
  /** Bytes a second; undefined: no limit but the guard's. */
  setBandwidth(limit: BytesPerSecond | undefined): void;
  /** Whether it goes on without regard for the guest: there is something worse for it than slow writes. */
  hurry(on: boolean): void;
  /** Returns when nothing of it runs any more; what was copied stays. */
  stop(): Promise<void>;
}

export interface LayersProgress {
  readonly copied: Bytes;
  /** Of that, by runs before this one. */
  readonly copiedBefore: Bytes;
  readonly verified: Bytes;
  /** The same, with what was read of windows that are under way; undefined: nothing is read back. */
  readonly readBack: Bytes | undefined;
  /** Grows with whatever is read or written: as long as it does, it does not stand still. */
  readonly moved: Bytes;
  readonly total: Bytes;
  /** At the destination; unless there is enough, nothing is copied until there is. */
  readonly space: 'enough' | 'low' | 'full';
  readonly guard: GuardVerdict | undefined;
}

/** What is done to the images of a domain that is off, from its start to its end. */
export interface OfflineWork {
  state(): 'running' | 'done' | { readonly failed: string };
  progress(): { readonly cur: Bytes; readonly end: Bytes };
  /** The active image as it was when its data was taken. */
  stamp(): string;
  /** Returns when nothing of it runs any more; the images show what they did before. */
  stop(): Promise<void>;
}

export interface Memory {
  witnessed: World['witnessed'];
  /** libvirt's words for a copy that it refused or that failed. */
  failure?: string;
  /** It failed because the destination is full. */
  destinationFull?: boolean;
  starts: number;
  /** The file that we made as the destination. */
  claimed?: FileIdentity;
  /** --delete-source has been through: what it kept, it kept for a reason. */
  sourcesSeenTo: boolean;
  sides: World['sides'];
  diverging: boolean;
  /** The destination was seen to answer while the copy ran; a server that takes one client only never does. */
  everAnswered: boolean;
  /** We made the volume or formatted the file in this process, and nothing was copied to it yet. */
  freshImage: boolean;
  /** The copy that we made cannot be removed from here; that was said. */
  copyStays: boolean;
  /** The journal's storage took no write: it is not asked for until it takes one again. */
  journalStuck: boolean;
  /** Since when libvirt has shown a mirror without a job, or a copy without a mirror; on performance.now's clock. */
  contradictsSince?: number;
  /** Bytes were seen to be copied, or nothing remains to be. */
  flows: boolean;
  /** Strategy `layered` only. */
  layered: {
    lastLeg?: Leg;
    /** The copy of the layers that runs beside the loop, or ran and failed. */
    copy?: BackgroundCopy;
    /** Those of the rounds before. */
    earlier: readonly BackgroundCopy[];
    freezeMs?: Millis;
    relinked: boolean;
    /** The RBD image that is our destination was there. */
    imageSeen: boolean;
    overlayFresh: boolean;
    carrierFresh: boolean;
    /** Why the guest's file systems could not be frozen for the instant of a copy. */
    quiesceFailed?: string;
    /** How fast the layers were copied last. */
    rate?: BytesPerSecond;
  };
  /** Strategies `commit` and `pull` only. */
  shorten: {
    /** The job was seen; of one that has gone it cannot be told at once how it ended. */
    jobSeen: boolean;
    /** Since when somebody has the images of a domain that is off open for writing; on performance.now's clock. */
    lockedSince?: Millis;
    /** The work on the images of a domain that is off. */
    work?: OfflineWork;
  };
  /** The pause of the guest for the switches of several disks, in the memory of the first disk. */
  pause: {
    /** We have paused it, and not let it go on; on performance.now's clock. */
    heldSince?: Millis;
    /** How long it stood still. */
    lastedMs?: Millis;
    tried: boolean;
    /** Somebody else paused it just before we would have. */
    theirs: boolean;
  };
  /** Look whether the destination answers although the copy is not ready: it stands still. */
  standsStill: boolean;
}

export function newMemory(): Memory {
  return {
    witnessed: 'nothing',
    starts: 0,
    sourcesSeenTo: false,
    sides: 'not-asked',
    diverging: false,
    everAnswered: false,
    freshImage: false,
    copyStays: false,
    standsStill: false,
    journalStuck: false,
    flows: false,
    layered: { earlier: [], relinked: false, imageSeen: false, overlayFresh: false, carrierFresh: false },
    shorten: { jobSeen: false },
    pause: { tried: false, theirs: false },
  };
}
