// Waits for something that tells nobody when it happens, such as a file written by another program.
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Calls `probe` every `everyMs` (default 20 ms) until it returns a value, and returns that value.
 * @throws {Error} naming `what` when nothing came within `timeoutMs` (default 60 s: against hangs only).
 */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  { timeoutMs = 60_000, everyMs = 20 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await sleep(everyMs);
  }
}
