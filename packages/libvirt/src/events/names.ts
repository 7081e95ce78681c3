// The numbers in event bodies as words (libvirt/libvirt-domain.h). Numbers that this version does not know read 'unknown'.

/** Turns a number into its word. */
export function word<const W extends readonly string[]>(words: W, number: number): W[number] | 'unknown' {
  return words[number] ?? 'unknown';
}

const LIFECYCLE = [
  ['defined', ['added', 'updated', 'renamed', 'fromSnapshot']],
  ['undefined', ['removed', 'renamed']],
  ['started', ['booted', 'migrated', 'restored', 'fromSnapshot', 'wakeup', 'recovered']],
  [
    'suspended',
    [
      'paused',
      'migrated',
      'ioError',
      'watchdog',
      'restored',
      'fromSnapshot',
      'apiError',
      'postCopy',
      'postCopyFailed',
      'guestShutdown',
    ],
  ],
  ['resumed', ['unpaused', 'migrated', 'fromSnapshot', 'postCopy', 'postCopyFailed']],
  [
    'stopped',
    ['shutdown', 'destroyed', 'crashed', 'migrated', 'saved', 'failed', 'fromSnapshot', 'recovered'],
  ],
  ['shutdown', ['finished', 'guest', 'host']],
  ['pmsuspended', ['memory', 'disk']],
  ['crashed', ['panicked', 'crashloaded']],
] as const;

type LifecycleRow = (typeof LIFECYCLE)[number];

/** What happened to the domain, and how: `{ event: 'stopped', detail: 'destroyed' }`. */
export type LifecycleChange =
  | {
      [R in LifecycleRow as R[0]]: { readonly event: R[0]; readonly detail: R[1][number] | 'unknown' };
    }[LifecycleRow[0]]
  | { readonly event: 'unknown'; readonly detail: 'unknown' };

export function lifecycleChange(event: number, detail: number): LifecycleChange {
  const row = LIFECYCLE[event];
  if (row === undefined) return { event: 'unknown', detail: 'unknown' };
  // The pair is of one row, which the type system cannot follow through the index.
  return { event: row[0], detail: row[1][detail] ?? 'unknown' } as LifecycleChange;
}

export const BLOCK_JOB_TYPES = ['unknown', 'pull', 'copy', 'commit', 'activeCommit', 'backup'] as const;
export type BlockJobType = (typeof BLOCK_JOB_TYPES)[number];

export const BLOCK_JOB_STATUSES = ['completed', 'failed', 'canceled', 'ready'] as const;

export const IO_ERROR_ACTIONS = ['none', 'pause', 'report'] as const;
export const WATCHDOG_ACTIONS = [
  'none',
  'pause',
  'reset',
  'poweroff',
  'shutdown',
  'debug',
  'injectNmi',
] as const;
export const DISK_CHANGE_REASONS = ['changeMissingOnStart', 'dropMissingOnStart'] as const;
export const TRAY_CHANGE_REASONS = ['open', 'close'] as const;
export const GRAPHICS_PHASES = ['connect', 'initialize', 'disconnect'] as const;
export const GRAPHICS_FAMILIES = ['ipv4', 'ipv6', 'unix'] as const;
export const AGENT_STATES = ['unknown', 'connected', 'disconnected'] as const;
export const AGENT_REASONS = ['unknown', 'domainStarted', 'channel'] as const;
export const METADATA_TYPES = ['description', 'title', 'element'] as const;
export const MEMORY_FAILURE_RECIPIENTS = ['hypervisor', 'guest'] as const;
export const MEMORY_FAILURE_ACTIONS = ['ignore', 'inject', 'fatal', 'reset'] as const;
export const POOL_CHANGES = ['defined', 'undefined', 'started', 'stopped', 'created', 'deleted'] as const;
