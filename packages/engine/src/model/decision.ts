// What `decide` can answer: a step to take, something to wait for, an end, or a question for a person.
import type { KnownPlace, Leg } from './layered-world.ts';
import type { Goal, Phase } from './record.ts';

/** Effects, one file each in `act/`. Every one may be repeated after a crash at any point. */
export type Step =
  /** Write phase and goal to every place of the record. */
  | { readonly name: 'record'; readonly reason?: string }
  /** The guest writes faster than the mirror copies: cancel, and start again with synchronous writes. */
  | { readonly name: 'restart-synchronously' }
  /** Take the destination's name with an empty file, or make the volume. */
  | { readonly name: 'claim-destination' }
  /** Job mode `undefine`: make the running domain transient; its definition is kept aside. */
  | { readonly name: 'undefine' }
  | { readonly name: 'start-copy'; readonly synchronousWrites: boolean }
  | { readonly name: 'pivot' }
  | { readonly name: 'cancel-job' }
  /** Remove the destination that we made, after checking that nothing refers to it. */
  | { readonly name: 'discard-copy' }
  /** Define the domain again from the definition kept aside, its disk on the side given. */
  | { readonly name: 'restore-definition'; readonly on: 'origin' | 'destination' }
  /** Make the persistent definition name the image the guest is on, keeping everything else in it. */
  | { readonly name: 'fix-definition'; readonly on: 'origin' | 'destination' }
  | { readonly name: 'delete-source' }
  /** Compare the two images of a domain that is off. */
  | { readonly name: 'compare-sides' }
  /** Remove record, journal and the definition kept aside: the move has ended so. */
  | { readonly name: 'close'; readonly outcome: Outcome };

/** The steps of strategy `layered`, besides those that it shares with `mirror`. */
export type LayeredStep =
  | Extract<Step, { readonly name: 'record' | 'delete-source' | 'close' }>
  /**
   * Change the record for one more round: name the next overlay, or take note that the guest is on it, or that its name
   * is taken.
   */
  | { readonly name: 'record-round'; readonly round: 'planned' | 'begun' | 'dropped' }
  /** Make the overlay, and the empty files that the copies go into. */
  | { readonly name: 'claim-files' }
  /** Put the guest on the overlay: an external snapshot, or a new definition when it is off. */
  | { readonly name: 'freeze' }
  /** Begin to copy the frozen layers; the copy goes on beside the loop. */
  | { readonly name: 'copy-layers' }
  | { readonly name: 'stop-copying' }
  /** A copy is complete: write that it stays from now on. */
  | { readonly name: 'keep-copies' }
  /** The guest writes as fast as its overlay is committed back: let it write a quarter as much. */
  | { readonly name: 'brake-guest' }
  /** Let it write as before. */
  | { readonly name: 'release-guest' }
  /** Thaw the guest's file systems, which were to be frozen for the instant of the copy. */
  | { readonly name: 'thaw-guest' }
  /** Write the copies' backing links. */
  | { readonly name: 'relink' }
  /** Make the carrier over the top copy, anew if there was one. */
  | { readonly name: 'prepare-carrier' }
  /** Begin the mirror or the commit of a leg. */
  | { readonly name: 'start-leg'; readonly leg: Leg }
  | { readonly name: 'finish-leg'; readonly leg: Leg }
  | { readonly name: 'cancel-leg'; readonly leg: Leg }
  /** The domain is off: take the leg without QEMU, and define the domain on its end. */
  | { readonly name: 'walk'; readonly leg: Leg }
  /** Make the persistent definition name the image the guest is on. */
  | { readonly name: 'define-on'; readonly place: KnownPlace }
  /** Compare the two ends of a leg, the domain being off. */
  | { readonly name: 'compare-ends'; readonly leg: Leg }
  /** Pause the guest for the switches of several disks. */
  | { readonly name: 'pause-guest' }
  /** Let a guest go on that we have paused; one that somebody else paused is left alone. */
  | { readonly name: 'unpause-guest' }
  /** Remove what we made and nobody uses: overlay and carrier, or the copies too. */
  | { readonly name: 'clear'; readonly what: 'overlays' | 'everything' };

/** The steps of strategies `commit` and `pull`, besides those that they share with `mirror`. */
export type ShortenStep =
  | Extract<
      Step,
      {
        readonly name:
          | 'record'
          | 'pivot'
          | 'cancel-job'
          | 'fix-definition'
          | 'delete-source'
          | 'compare-sides'
          | 'close';
      }
    >
  /** Begin the block job. */
  | { readonly name: 'start-job' }
  /** The domain is off: begin to do without QEMU what the job would; it goes on beside the loop. */
  | { readonly name: 'work-offline' }
  /** A domain that has been started needs its images, an abort does not need the work. */
  | { readonly name: 'stop-offline' }
  /** The data is where it belongs: have the header above, or the definition, name it. */
  | { readonly name: 'finish-offline' };

export type StepName = Step['name'] | LayeredStep['name'] | ShortenStep['name'];

export type Outcome =
  /** The guest runs on the destination, and the definition says so. */
  | { readonly kind: 'moved' }
  /** Ready and held: waits for `pivot` or `abort`. */
  | { readonly kind: 'ready' }
  /** The guest is on the source; nothing of ours is left, but what is listed. */
  | { readonly kind: 'back'; readonly why: string }
  /** The guest is on the source; the destination is a point-in-time copy. */
  | { readonly kind: 'kept' }
  /** The same of what was to be a copy: its chain is as it was, and the copies of all images are complete. */
  | { readonly kind: 'copied' }
  /** Cannot go on now; `resume` continues, `abort` undoes. */
  | { readonly kind: 'interrupted'; readonly why: Interruption; readonly detail?: string };

export type Interruption =
  | 'domain-off'
  /** It is off, and what was saved of its memory goes on from the images that it had then. */
  | 'domain-saved'
  | 'foreign-job'
  | 'disk-changed'
  | 'destination-taken'
  /** The frozen layers could not be copied, or not verified; the reason is in the error. */
  | 'copy-failed'
  /** The copies are complete, and the guest could not be taken back to its own image yet. */
  | 'return-failed'
  /** A frozen layer is not what was copied: somebody wrote to it. */
  | 'source-changed'
  /** The disk has another size than when it was frozen, and a destination that is no file cannot follow. */
  | 'disk-resized'
  /** It moves together with other disks, and waits for one that cannot go on. */
  | 'other-disk'
  /** The record of a disk that it moves together with is gone. */
  | 'group-incomplete';

export type Question =
  /** QEMU died between the order to pivot and its end: either image may be the newer. */
  | 'which-side'
  /** A transient domain ended in the same place: both images are kept. */
  | 'domain-gone-while-pivoting'
  /** libvirt says that the domain does not run, and its QEMU does. */
  | 'unknown-to-libvirt'
  /** libvirt's live definition is behind QEMU, which has pivoted; only a new start of the domain rids it of that. */
  | 'phantom-mirror'
  /** The guest wrote to its overlay, unseen, and to the image below since: what the two hold cannot be joined. */
  | 'both-written';

export type Wait =
  | { readonly for: 'ready' }
  | { readonly for: 'job-end' }
  /** The frozen layers are being copied. */
  | { readonly for: 'layers' }
  /** The images of a domain that is off are being merged. */
  | { readonly for: 'offline' }
  /** The destination has no room for what the overlay holds. */
  | { readonly for: 'room' }
  /** It moves together with other disks, which are not as far. */
  | { readonly for: 'group' }
  /** Ready, but the destination does not answer: pivoting now would stop the guest. */
  | { readonly for: 'destination' };

export type Decision<S = Step> =
  | { readonly kind: 'act'; readonly phase: Phase; readonly goal: Goal; readonly step: S }
  | { readonly kind: 'wait'; readonly wait: Wait }
  | { readonly kind: 'end'; readonly outcome: Outcome }
  | { readonly kind: 'ask'; readonly question: Question };
