// What `observe` saw of the host, put in terms of one move. Nothing here is remembered: it is looked at each time.
import type { Goal, Phase } from './record.ts';
import type { Bytes } from './units.ts';

/** Which of the move's two images a definition names. `none`: no such definition or no such disk in it. */
export type Side = 'origin' | 'destination' | 'elsewhere' | 'none';

export type JobState =
  | 'running'
  | 'ready'
  | 'pivoting'
  | 'aborting'
  /** libvirt's live definition shows the mirror, and libvirt knows of no such job. Normal for a moment. */
  | 'missing'
  /** The reverse: libvirt knows of the copy and shows no mirror, because a libvirtd died as it began one. */
  | 'unshown';

export type Job =
  | { readonly kind: 'none' }
  /** A copy whose mirror element names our destination, or that has none. */
  | {
      readonly kind: 'ours';
      readonly state: JobState;
      readonly cur: Bytes;
      readonly end: Bytes;
    }
  /** Another block job, or a copy to somewhere else, on the same disk. */
  | { readonly kind: 'foreign'; readonly what: string };

/** The phase and goal that one copy of the record shows. */
export interface Stamp {
  readonly phase: Phase;
  readonly goal: Goal;
}

export interface World {
  readonly domain: 'running' | 'off' | 'gone';
  readonly persistent: boolean;
  /** The disk in the live definition; `none` unless the domain runs. */
  readonly live: Side;
  /** The disk in the persistent definition. */
  readonly config: Side;
  readonly job: Job;
  /** Each place the record may stand; `undefined`: not there; `unavailable`: there is no such place now. */
  readonly recorded: {
    readonly live: Stamp | undefined | 'unavailable';
    readonly config: Stamp | undefined | 'unavailable';
    readonly journal: Stamp | undefined | 'unavailable';
  };
  /** The QEMU process is the one in which the record was written (a restart loses the live record's mark). */
  readonly sameInstance: boolean;
  /**
   * The destination as a file or volume: `claimed` is ours and still empty, `ours` is ours with something in
   * it, `foreign` was there and is not ours; `unknown`: it cannot be looked at.
   */
  readonly destination: 'absent' | 'claimed' | 'ours' | 'foreign' | 'unknown';
  /** Does the destination answer? Looked at before the pivot and when the copy stands still. */
  readonly answers: 'yes' | 'silent' | 'not-asked';
  /**
   * Which image QEMU itself has open for writing, by its locks. Asked when libvirt says that the domain does not run, or
   * contradicts itself; `both`: the origin, and maybe the destination; `unclear`: somebody has, and it cannot be told who or which.
   */
  readonly qemuWrites: 'not-asked' | 'nobody' | 'origin' | 'destination' | 'both' | 'unclear';
  /** The definition kept aside by job mode `undefine` is at hand. */
  readonly savedDefinition: boolean;
  /** Sources still there that --delete-source wants removed. */
  readonly sourceRemains: boolean;
  /** Whether the two images hold the same data; asked only when it decides something. */
  readonly sides: 'same' | 'differ' | 'not-asked';
  /** libvirt's words, when it refused the copy. */
  readonly failure?: string;
  /** What this process itself saw happen to the job since it last started one. */
  readonly witnessed: 'nothing' | 'failed' | 'canceled' | 'canceled-by-us';
  /** The guest writes faster than the mirror copies. */
  readonly diverging: boolean;
  /** Copies that this process started. */
  readonly starts: number;
}

/** Of strategies `commit` and `pull`: `origin` is the chain as it was, `destination` the chain as it is to be. */
export interface ShortenWorld extends World {
  /** The work on the images of a domain that is off, in this process; `elsewhere`: another may be at it, and about to stop. */
  readonly offline: 'no' | 'elsewhere' | 'running' | 'done' | { readonly failed: string };
}
