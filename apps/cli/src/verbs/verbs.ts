// The table of verbs. A verb's own file is loaded only when it is named.
import type { Verb } from './verb.ts';

export interface VerbEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Verb>;
}

export const VERBS: readonly VerbEntry[] = [
  {
    name: 'list',
    summary: 'show domains, their disks, open moves and migrations',
    load: async () => (await import('./list.ts')).list,
  },
  {
    name: 'chain',
    summary: 'show backing chains and who else uses them; or all images as trees, and orphans',
    load: async () => (await import('./chain.ts')).chain,
  },
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
  {
    name: 'image',
    summary: 'make one image of a disk of a running domain, which stays as it is',
    load: async () => (await import('./image.ts')).image,
  },
  {
    name: 'migrate',
    summary: 'bring a domain to another host that shares no storage with this one',
    load: async () => (await import('./migrate.ts')).migrate,
  },
  {
    name: 'status',
    summary: 'show open moves, backups and migrations',
    load: async () => (await import('./status.ts')).status,
  },
  {
    name: 'resume',
    summary: 'go on with moves that were interrupted',
    load: async () => (await import('./resume.ts')).resume,
  },
  {
    name: 'pivot',
    summary: 'switch the guest to a copy that is held',
    load: async () => (await import('./pivot.ts')).pivot,
  },
  {
    name: 'abort',
    summary: 'undo a move, or keep its copy',
    load: async () => (await import('./abort.ts')).abort,
  },
  {
    name: 'bandwidth',
    summary: 'change the limit of a copy that runs',
    load: async () => (await import('./bandwidth.ts')).bandwidth,
  },
  {
    name: 'commit',
    summary: 'shorten a chain: upper images go down into a base',
    load: async () => (await import('./commit.ts')).commit,
  },
  {
    name: 'flatten',
    summary: 'shorten a chain: the active image takes what is below it',
    load: async () => (await import('./flatten.ts')).flatten,
  },
  {
    name: 'verify',
    summary: 'compare two chains that nobody writes to',
    load: async () => (await import('./verify.ts')).verify,
  },
  {
    name: 'backup',
    summary: 'back up the disks of a domain, full or what changed; list, verify and prune backups',
    load: async () => (await import('./backup.ts')).backup,
  },
  {
    name: 'restore',
    summary: 'bring a backup back, as a new domain or over one that is off',
    load: async () => (await import('./restore.ts')).restore,
  },
  {
    name: 'ls',
    summary: 'list a directory inside an image or a disk, read-only',
    load: async () => (await import('./ls.ts')).ls,
  },
  {
    name: 'cat',
    summary: 'show a file inside an image or a disk, read-only',
    load: async () => (await import('./cat.ts')).cat,
  },
  {
    name: 'cleanup',
    summary: 'remove what moves and migrations left behind',
    load: async () => (await import('./cleanup.ts')).cleanup,
  },
  {
    name: 'doctor',
    summary: 'say whether this host is able, and what is missing',
    load: async () => (await import('./doctor.ts')).doctor,
  },
];

export const VERB_NAMES: readonly string[] = VERBS.map(({ name }) => name);
