// A program that lets others have the processor first: the guests.

/**
 * Where the kernel groups tasks by session (sched_autogroup_enabled, sched(7)), niceness counts within the session alone,
 * and the session has one of its own; each program that a Host starts leads a session. With 10 it has a tenth of the share of
 * others who want all of it; with 19, a sixtieth, it could come to a standstill (ADR 10).
 */
const YIELDING = 'echo 10 2>/dev/null >/proc/self/autogroup; exec nice -n 10 "$@"';

/** The command that runs `argv` so. */
export function yielding(argv: readonly string[]): string[] {
  return ['sh', '-c', YIELDING, 'sh', ...argv];
}
