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
const VERBS = { move: 40, image: 20, backup: 20, commit: 10, flatten: 10 } as const;
export type Verb = keyof typeof VERBS;

export type Round = {
  readonly verb: Verb;
  readonly victims: readonly Victim[];
  /** From the first step. */
  readonly afterMs: number;
  readonly options: readonly string[];
  /** Whether somebody starts the domain before it goes on, if it is off. */
  readonly startsAgain: boolean;
};

/** About as long as the verb takes undisturbed. */
const SPAN_MS: Readonly<Record<Verb, number>> = {
  ...{ move: 4_000, image: 4_000, backup: 5_000, commit: 1_500, flatten: 1_500 },
};

/** A chain that is made shorter has no destination, and no daemon of its own. */
const VICTIMS_OF_ALL = VICTIMS.filter((victim) => !/^(storage|destination)-/.test(victim));

/** The same numbers give the same round. */
export function drawRound(random: () => number): Round {
  const verb = drawVerb(random());
  const copies = verb !== 'commit' && verb !== 'flatten';
  const victims = drawVictims(random, copies ? VICTIMS : VICTIMS_OF_ALL);
  const slow = ['--bandwidth', copies ? '8M' : '4M'];
  return {
    verb,
    victims,
    afterMs: Math.round(random() * SPAN_MS[verb]),
    options: [...(copies ? ['--guard', 'off'] : []), ...(random() < 0.5 ? slow : [])],
    startsAgain: random() < 0.5,
  };
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
