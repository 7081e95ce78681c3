// What one process remembers of a migration between two looks. All of it may be lost without harm.
import type { Bytes, Millis } from '../model/units.ts';
import type { BackgroundCopy } from '../observe/memory.ts';

/** libvirt's migration, from its first call to its last. */
export interface Crossing {
  state(): 'running' | 'done' | { readonly failed: string };
  /** Calls it off and waits until nothing of it is under way: the domain then is where it was, or has arrived. */
  stop(): Promise<void>;
}

export interface MigrationMemory {
  copy?: BackgroundCopy;
  crossing?: Crossing;
  starts: number;
  relinked: boolean;
  overlaysFresh: boolean;
  freezeMs?: Millis;
  /** When the guest stood still at home with all sent, by performance.now(). */
  stoodStillAt?: number;
  /** From the moment at which the guest stood still at home until it was told to run at the destination. */
  downtimeMs?: Millis;
  /** Once it is closed: what the domain has left at home, by path. */
  left?: readonly string[];
  /** What libvirt sent: memory, and what the overlays held. */
  sent?: Bytes;
}

export function newMigrationMemory(): MigrationMemory {
  return { starts: 0, relinked: false, overlaysFresh: false };
}
