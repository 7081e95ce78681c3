// What a round of torture does, and what dies in it: drawn from a number, so that the round can be played again.

/** What can die, or be full or broken for a while. With `host`, everything dies at once. */
export const VICTIMS = [
  'blockferry',
  'storage-daemon',
  'libvirtd',
  'qemu',
  'host',
  'destination-full',
  'destination-eio',
] as const;
export type Victim = (typeof VICTIMS)[number];

/** What is done to the disk, and how often of a hundred times. */
const VERBS = {
  ...{ move: 31, image: 12, backup: 15, increment: 12, restore: 10, commit: 10, flatten: 10 },
} as const;
export type Verb = keyof typeof VERBS;

/** What stands in a directory of backups before the verb, and is gone on with after it. */
export type Amid = {
  /** On the full one. */
  readonly increments: number;
  /** The disk is moved before the last of them, undisturbed. */
  readonly moved: boolean;
  /** The domain is started anew before the next one: its bitmaps are written to its images, and read again. */
  readonly restarts: boolean;
};

export type Round = {
  readonly verb: Verb;
  readonly victims: readonly Victim[];
  /** From the first step. */
  readonly afterMs: number;
  readonly options: readonly string[];
  /** Whether somebody starts the domain before it goes on, if it is off. */
  readonly startsAgain: boolean;
  /** The copying is slow. */
  readonly slow: boolean;
  /** Whether the same command is typed again, instead of `resume`: where both are told to do. */
  readonly again: boolean;
  readonly amid: Amid | undefined;
};

/** About as long as the verb takes undisturbed. */
const SPAN_MS: Readonly<Record<Verb, number>> = {
  ...{ move: 4_000, image: 4_000, backup: 5_000, restore: 4_000, commit: 1_500, flatten: 1_500 },
  increment: 1_500,
};

const COPIES: readonly Victim[] = VICTIMS;
/** A chain that is made shorter has no destination, and no daemon of its own. */
const SHORTENS: readonly Victim[] = ['blockferry', 'libvirtd', 'qemu', 'host'];
/** The domain is off. */
const RESTORES: readonly Victim[] = ['blockferry', 'libvirtd', 'destination-full'];
/** QEMU itself copies. */
const INCREMENTS: readonly Victim[] = VICTIMS.filter((victim) => victim !== 'storage-daemon');
/** What can die in each. */
export const VICTIMS_OF: Readonly<Record<Verb, readonly Victim[]>> = {
  ...{ move: COPIES, image: COPIES, backup: COPIES, restore: RESTORES, commit: SHORTENS, flatten: SHORTENS },
  increment: INCREMENTS,
};

/** Of a hundred rounds of another verb, so many go on with increments after it. */
const AMID = 8;

/** The same numbers give the same round. */
export function drawRound(random: () => number): Round {
  const verb = drawVerb(random());
  const victims = drawVictims(random, VICTIMS_OF[verb]);
  const afterMs = Math.round(random() * SPAN_MS[verb]);
  const slow = random() < 0.5;
  const options = optionsOf(verb, slow);
  return {
    ...{ verb, victims, afterMs, slow, options },
    startsAgain: random() < 0.5,
    again: random() < 0.5,
    amid: drawAmid(random, verb),
  };
}

function drawAmid(random: () => number, verb: Verb): Amid | undefined {
  // A full backup is of a disk that has none.
  const has = verb === 'increment' || (verb !== 'backup' && random() * 100 < AMID);
  if (!has) return undefined;
  const increments = Math.floor(random() * 3);
  return { increments, moved: increments > 0 && random() < 0.3, restarts: random() < 0.5 };
}

function optionsOf(verb: Verb, slow: boolean): readonly string[] {
  if (verb === 'restore' || verb === 'increment') return [];
  const shortens = verb === 'commit' || verb === 'flatten';
  const bandwidth = slow ? ['--bandwidth', shortens ? '4M' : '8M'] : [];
  return shortens ? bandwidth : ['--guard', 'off', ...bandwidth];
}

function drawVerb(drawn: number): Verb {
  let left = drawn * 100;
  for (const [verb, share] of Object.entries(VERBS)) {
    left -= share;
    if (left < 0) return verb as Verb;
  }
  return 'move';
}

/** One, and in a third of the rounds another. */
export function drawVictims<T>(random: () => number, among: readonly T[]): readonly T[] {
  const first = among[Math.floor(random() * among.length)] as T;
  const second = among[Math.floor(random() * among.length * 3)];
  return second === undefined || second === first ? [first] : [first, second];
}
