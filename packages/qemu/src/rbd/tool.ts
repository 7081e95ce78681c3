// Ceph's own `rbd` program, for what QEMU's tools cannot: who has an image open, and its removal.
import { setTimeout as sleep } from 'node:timers/promises';
import { HostError } from '../host/errors.ts';
import type { Host, RunResult } from '../host/host.ts';
import { formatHostPort, formatLocation, type RbdLocation } from '../image/location.ts';
import type { QuickOptions } from '../qemu-img/invoke.ts';

/** `rbd` ended with an error. */
export class RbdError extends Error {
  override readonly name = 'RbdError';
  readonly operation: string;
  readonly location: RbdLocation;
  /** Its own words. */
  readonly stderr: string;

  constructor(operation: string, location: RbdLocation, stderr: string) {
    super(`rbd ${operation} ${formatLocation(location)}: ${plain(stderr)}`);
    this.operation = operation;
    this.location = location;
    this.stderr = stderr;
  }
}

/** Who holds an image: those who have it open for writing, and those who locked it by hand. */
export interface RbdUse {
  /** Addresses of clients. */
  readonly watchers: readonly string[];
  readonly lockers: readonly string[];
}

/**
 * Asks who uses an image. QEMU and krbd watch every image that they have open for writing; a client that was killed
 * counts for 30 s more (osd_client_watch_timeout).
 *
 * @returns undefined where the host has no `rbd`
 * @throws RbdError, HostError
 */
export async function rbdUse(
  host: Host,
  location: RbdLocation,
  { timeoutMs = 10_000 }: QuickOptions = {},
): Promise<RbdUse | undefined> {
  const status = await rbd(host, location, ['status', '--format', 'json'], timeoutMs);
  const locks = status && (await rbd(host, location, ['lock', 'ls', '--format', 'json'], timeoutMs));
  if (status === undefined || locks === undefined) return undefined;
  if (status.code !== 0) throw new RbdError('status', location, status.stderr);
  if (locks.code !== 0) throw new RbdError('lock ls', location, locks.stderr);
  return {
    watchers: listIn(parse(status.stdout), 'watchers').map(({ address }) => String(address)),
    // librbd's own locks are called so, and those of the dead are broken by who comes next.
    lockers: listOf(parse(locks.stdout))
      .filter(({ id }) => !String(id).startsWith('auto '))
      .map(({ locker }) => String(locker)),
  };
}

/** A client that was killed, such as a QEMU, watches on until its session has timed out. */
const WATCHED_FOR_MS = 40_000;
const LOOK_AGAIN_MS = 1_000;
const ENOENT = 2;
const EBUSY = 16;
/** Two who remove it at once: seen with librbd 16. */
const ESTALE = 116;

export type RbdRemoval = 'removed' | 'absent' | 'watched' | 'no-program';

/**
 * Removes an image that nobody has open; one that is `watched` for 40 s is left. May be repeated; an end on the way
 * leaves an image that can be removed as before.
 *
 * @throws RbdError, HostError
 */
export async function removeRbd(host: Host, location: RbdLocation, timeoutMs: number): Promise<RbdRemoval> {
  const until = performance.now() + WATCHED_FOR_MS;
  for (;;) {
    const result = await rbd(host, location, ['rm', '--no-progress'], timeoutMs);
    if (result === undefined) return 'no-program';
    if (result.code === 0) return 'removed';
    if (result.code === ENOENT) return 'absent';
    if (result.code !== EBUSY && result.code !== ESTALE) throw new RbdError('rm', location, result.stderr);
    if (performance.now() > until) return 'watched';
    await sleep(LOOK_AGAIN_MS);
  }
}

/** The command that removes an image, as an argv. */
export function rbdRemoval(location: RbdLocation): readonly string[] {
  return ['rbd', ...clusterOf(location), 'rm', ...imageOf(location)];
}

async function rbd(
  host: Host,
  location: RbdLocation,
  [...verb]: readonly string[],
  timeoutMs: number,
): Promise<RunResult | undefined> {
  try {
    const argv = ['rbd', ...clusterOf(location), ...verb, ...imageOf(location)];
    return await host.run(argv, { timeoutMs });
  } catch (error) {
    if (error instanceof HostError && error.code === 'not-found') return undefined;
    throw error;
  }
}

function clusterOf({ conf, user, monitors }: RbdLocation): string[] {
  return [
    ...(conf === undefined ? [] : ['-c', conf]),
    ...(user === undefined ? [] : ['--id', user]),
    ...(monitors === undefined ? [] : ['-m', monitors.map(formatHostPort).join(',')]),
  ];
}

function imageOf({ pool, namespace, image }: RbdLocation): string[] {
  return ['--pool', pool, ...(namespace === undefined ? [] : ['--namespace', namespace]), '--image', image];
}

/** Without times, threads and the like of librados' log lines. */
function plain(stderr: string): string {
  const lines = stderr.trim().split('\n');
  return lines.map((line) => line.replace(/^\S+ [0-9a-f]+ +-1 /, '').replace(/^rbd: /, '')).join('; ');
}

type Members = Readonly<Record<string, unknown>>;

function parse(stdout: string): unknown {
  return JSON.parse(stdout);
}

function listIn(value: unknown, name: string): Members[] {
  return isMembers(value) ? listOf(value[name]) : [];
}

/** Lists are arrays; in older versions objects of objects. */
function listOf(value: unknown): Members[] {
  if (Array.isArray(value)) return value.filter(isMembers);
  return isMembers(value) ? Object.values(value).filter(isMembers) : [];
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
