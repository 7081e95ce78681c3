// The table of verbs. A verb's own file is loaded only when it is named.
import type { Verb } from './verb.ts';

export interface VerbEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Verb>;
}

export const VERBS: readonly VerbEntry[] = [
  {
    name: 'plan',
    summary: 'say what a move would do, without touching anything',
    load: async () => (await import('./plan.ts')).plan,
  },
  {
    name: 'move',
    summary: 'move a disk of a running domain',
    load: async () => (await import('./move.ts')).move,
  },
];
