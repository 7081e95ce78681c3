// One blockferry at a time carries out what is open: a move, several disks as one, a migration. The record tells everybody
// what is intended; this lock on the host tells who does it, and goes with the process that has it.
import type { Host } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { DIES_WITHIN_S, isNamedLockHeld, namedLock, takeHostLock } from './host-lock.ts';

/** The way to the host was lost, the lock with it, and another blockferry goes on by now. The record stands. */
export class TakenOver extends Error {
  override readonly name = 'TakenOver';
}

/** What is carried out, and of which domain. */
export interface Work {
  readonly domain: { readonly name: string; readonly uuid: string };
  /** Disks by their target dev, or `migration`. */
  readonly parts: readonly string[];
}

export interface WorkOptions {
  /** Whoever is at work has been told what is wanted, and is waited for; otherwise who comes second is refused. */
  readonly waits?: boolean | undefined;
  readonly signal: AbortSignal;
  readonly report: (report: {
    readonly type: 'warning';
    readonly code: string;
    readonly message: string;
  }) => void;
}

/**
 * Does a blockferry carry it out at this moment, of this user, from whatever machine?
 *
 * @returns undefined: the connection gives no way to look, or the host has no flock
 * @throws HostError
 */
export async function isAtWork(
  host: Host | undefined,
  { domain, parts }: Work,
): Promise<boolean | undefined> {
  if (host === undefined) return undefined;
  const held = await Promise.all(parts.map((part) => isNamedLockHeld(host, nameOf(domain, part))));
  return held.some((one) => one === true) || (held.includes(undefined) ? undefined : false);
}

/** The name of the lock. */
function nameOf({ uuid }: Work['domain'], part: string): string {
  return `${uuid}.${part}`;
}

/** Who carries it out. Nothing is held before `take`. */
export class AtWork implements Disposable {
  readonly #host: Host | undefined;
  readonly #work: Work;
  readonly #options: WorkOptions;
  #held: DisposableStack | undefined;
  #locks: readonly { readonly isLost: boolean }[] = [];

  /** @param host undefined: the connection gives no way to run tools, and nobody is kept apart */
  constructor(host: Host | undefined, work: Work, options: WorkOptions) {
    this.#host = host;
    this.#work = work;
    this.#options = options;
  }

  /**
   * Until it is disposed of. To be asked before each look: where the way to the host was lost meanwhile, and the lock with
   * it, it is taken again.
   *
   * @returns false: the signal came first
   * @throws Refusal `at-work`, with nothing touched; TakenOver; HostError
   */
  async take(): Promise<boolean> {
    if (this.#host === undefined) return true;
    if (this.#held !== undefined && !this.#locks.some(({ isLost }) => isLost)) return true;
    this[Symbol.dispose]();
    try {
      await this.#takeAll(this.#host);
      return true;
    } catch (error) {
      if (this.#options.signal.aborted) return false;
      throw error;
    }
  }

  async #takeAll(host: Host): Promise<void> {
    const isFirst = this.#locks.length === 0;
    using taken = new DisposableStack();
    const locks: { readonly isLost: boolean }[] = [];
    // Always in one order, so that nobody waits for somebody who waits for him.
    for (const part of this.#work.parts.toSorted()) {
      locks.push(taken.use(await this.#lock(host, nameOf(this.#work.domain, part), isFirst)));
    }
    this.#locks = locks;
    this.#held = taken.move();
  }

  async #lock(host: Host, name: string, isFirst: boolean) {
    const { signal, waits = false, report } = this.#options;
    const refusal = () => (isFirst ? this.#refusal() : new TakenOver(this.#refusal().message));
    if (!waits || !isFirst) {
      return takeHostLock(host, namedLock(name, '-w', DIES_WITHIN_S), { refusal, signal });
    }
    try {
      return await takeHostLock(host, namedLock(name, '-n'), { refusal, signal });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const message = `${error.message}: it is told, and waited for; if it hangs, end it`;
      report({ type: 'warning', code: 'waits-for-another', message });
      return takeHostLock(host, namedLock(name), { refusal, signal });
    }
  }

  #refusal(): Refusal {
    const { domain, parts } = this.#work;
    const what = parts.length === 1 && parts[0] === 'migration' ? 'the migration' : parts.join(', ');
    return new Refusal(
      'at-work',
      `another blockferry is at work on ${what} of ${domain.name}`,
      { domain: domain.name, parts },
      'wait for it; or end it, and do this again',
    );
  }

  [Symbol.dispose](): void {
    this.#held?.dispose();
    this.#held = undefined;
  }
}
