// What a look at both hosts shows of a migration, and what can follow from it. Nothing of the world is remembered.
import type { Unseen } from '../model/layered-world.ts';
import type { MigrationGoal, MigrationPhase } from './record.ts';

/**
 * The domain at home. `stranded`: it stands still, given away whole, and nobody is conducting the migration any more;
 * `migrating`: libvirt has a migration under way.
 */
export type AtHome = 'running' | 'paused' | 'stranded' | 'migrating' | 'off' | 'gone';

/**
 * The domain at the destination. `incoming`: it is being received; `arrived`: it has come whole and stands still; `foreign`:
 * a domain of that name or UUID that is not this one.
 */
export type Away = 'running' | 'incoming' | 'arrived' | 'off' | 'gone' | 'foreign';

/** Where all disks of a definition are. `mixed`: not all on the same. */
export type On = 'origin' | 'overlay' | 'mixed' | 'elsewhere' | 'none';

export interface MigrationWorld {
  readonly home: AtHome;
  readonly away: Away;
  readonly homeOn: On;
  /** There, `origin` is the copy. */
  readonly awayOn: On;
  /** Every place of the record shows this phase and goal. */
  readonly recorded: { readonly phase: MigrationPhase; readonly goal: MigrationGoal } | 'not-everywhere';
  /** The names of the copies: taken by us, partly or not yet, or one of them by somebody else. */
  readonly claims: 'all' | 'missing' | 'foreign';
  /** Files of ours that have no use any more once the domain is settled on either side. */
  readonly overlayAtHome: boolean;
  readonly overlayAway: boolean;
  /** Of the overlays at home, where the domain is defined on the images below them; what is true of any of them. */
  readonly unseenAtHome: Unseen;
  readonly copiesAway: boolean;
  /** By the journals of the copies; `stale`: an image at home was written to since. */
  readonly copies: 'partial' | 'complete' | 'stale';
  /** What it keeps beside its disks; `none`: there is nothing for us to bring; `stale`: at home it has changed since. */
  readonly state: 'none' | 'missing' | 'brought' | 'stale';
  /** What this process does beside the loop. */
  readonly copying: 'no' | 'running' | { readonly failed: string };
  readonly crossing: 'no' | 'running' | { readonly failed: string };
  /** This process has written the copies' links, and has made the overlays there that nobody used since. */
  readonly relinked: boolean;
  readonly overlaysFresh: boolean;
  /** A commit of an overlay that was begun and has not ended, on either side. */
  readonly commitOpen: { readonly home: boolean; readonly away: boolean };
  /** Crossings that this process has begun. */
  readonly starts: number;
}

/** Effects, in `act/`. Every one may be repeated after a crash at any point. */
export type MigrationStep =
  | { readonly name: 'record'; readonly reason?: string }
  /** Take the names of the copies and of the overlay at home. */
  | { readonly name: 'claim' }
  | { readonly name: 'freeze' }
  /** Begin to copy; it goes on beside the loop. */
  | { readonly name: 'copy' }
  | { readonly name: 'stop-copying' }
  | { readonly name: 'relink' }
  /** Bring what it keeps beside its disks: firmware's variables, and while it is off the state of its TPM. */
  | { readonly name: 'bring-state' }
  /** Make the overlays at the destination, anew if they are there. */
  | { readonly name: 'prepare' }
  /** Begin libvirt's migration; it goes on beside the loop, up to and with the order to run there. */
  | { readonly name: 'cross' }
  | { readonly name: 'stop-crossing' }
  /** Let the domain at home go on, which was given away and never ran there. */
  | { readonly name: 'take-back' }
  /** Remove the domain at the destination, which never ran there. */
  | { readonly name: 'drop-away' }
  | { readonly name: 'define-away' }
  | { readonly name: 'run-away' }
  /** End what stands still at home: the domain runs at the destination. */
  | { readonly name: 'leave-home' }
  | { readonly name: 'undefine-home' }
  /** Commit the overlays at the destination into the copies. */
  | { readonly name: 'collapse' }
  /** Commit the overlays at home back. */
  | { readonly name: 'return' }
  /** Define the domain at home, which is off, on the overlays that its guest was on. */
  | { readonly name: 'define-home' }
  | { readonly name: 'clear-home' }
  | { readonly name: 'clear-away'; readonly what: 'overlays' | 'everything' }
  | { readonly name: 'close'; readonly outcome: MigrationOutcome };

export type MigrationOutcome =
  | { readonly kind: 'migrated' }
  | { readonly kind: 'back'; readonly why: string }
  | { readonly kind: 'interrupted'; readonly why: MigrationInterruption; readonly detail?: string };

export type MigrationInterruption =
  | 'domain-off'
  | 'domain-running'
  | 'domain-saved'
  | 'domain-paused'
  | 'domain-gone'
  | 'disk-changed'
  | 'destination-taken'
  | 'copy-failed'
  | 'source-changed'
  | 'crossing-failed';

export type MigrationQuestion =
  /** It runs on both hosts: somebody has started it on one of them by hand. */
  | 'runs-on-both'
  /** It was ordered to run at the destination, and is not there any more; at home it stands still, or was ended. */
  | 'lost-away'
  /** At home the guest wrote to an overlay, unseen, and to the image below since: what the two hold cannot be joined. */
  | 'both-written';

export type MigrationWait = {
  readonly for: 'layers' | 'crossing' | 'somebody-else' | 'incoming-end';
};

export type MigrationDecision =
  | {
      readonly kind: 'act';
      readonly phase: MigrationPhase;
      readonly goal: MigrationGoal;
      readonly step: MigrationStep;
    }
  | { readonly kind: 'wait'; readonly wait: MigrationWait }
  | { readonly kind: 'end'; readonly outcome: MigrationOutcome }
  | { readonly kind: 'ask'; readonly question: MigrationQuestion };
