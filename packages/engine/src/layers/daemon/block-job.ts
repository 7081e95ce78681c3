// One job in a storage daemon, from its start to its end, with what QEMU tells about it on the way.
import { type EventQueue, isQmpEvent, type QmpClient, QmpCommandError } from '@blockferry/qemu';

export type JobEnd =
  | { readonly kind: 'done' }
  /** `operation` is what failed first, if QEMU told. */
  | { readonly kind: 'failed'; readonly detail: string; readonly operation: 'read' | 'write' | undefined };

/** What is seen of a running job. */
export interface JobWatch {
  /** Bytes done so far. */
  progress(bytes: bigint): void;
  /** It waits for space on the target, or goes on. */
  waitsForSpace(waits: boolean): void;
}

const POLL_MS = 200;
const SPACE_RETRY_MS = 1_000;

/**
 * Starts a job and waits for its end, then dismisses it. A job that waits for space tries again every second.
 *
 * @param start issues the command that starts the job, with auto-dismiss off
 * @throws QmpCommandError when it does not start; QmpConnectionError when the daemon ends
 */
export async function runBlockJob(
  qmp: QmpClient,
  id: string,
  start: () => Promise<unknown>,
  watch: JobWatch,
): Promise<JobEnd> {
  using events = qmp.events();
  await start();
  const poll = new Poll(qmp, id, watch);
  let operation: 'read' | 'write' | undefined;
  try {
    operation = await untilConcluded(events, id, poll);
  } finally {
    poll.stop();
  }
  const job = (await qmp.execute('query-jobs')).find((each) => each.id === id);
  await qmp.execute('job-dismiss', { id });
  if (job?.error === undefined) return { kind: 'done' };
  return { kind: 'failed', detail: job.error, operation };
}

/** Returns what failed first, if anything did. */
async function untilConcluded(
  events: EventQueue,
  id: string,
  poll: Poll,
): Promise<'read' | 'write' | undefined> {
  let operation: 'read' | 'write' | undefined;
  for await (const event of events) {
    if (isQmpEvent(event, 'JOB_STATUS_CHANGE') && event.data.id === id && event.data.status === 'concluded') {
      break;
    }
    if (!isQmpEvent(event, 'BLOCK_JOB_ERROR') || event.data.device !== id) continue;
    if (event.data.action === 'stop') poll.waitForSpace();
    else operation ??= event.data.operation;
  }
  return operation;
}

/** Looks at a running job now and then. */
class Poll {
  readonly #qmp: QmpClient;
  readonly #id: string;
  readonly #watch: JobWatch;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;
  /** How far it was when it ran out of space, and when it was last told to try again. */
  #waiting: { readonly done: bigint; triedAtMs: number } | null = null;
  #done = 0n;

  constructor(qmp: QmpClient, id: string, watch: JobWatch) {
    this.#qmp = qmp;
    this.#id = id;
    this.#watch = watch;
    this.#again();
  }

  waitForSpace(): void {
    this.#waiting ??= { done: this.#done, triedAtMs: performance.now() };
    this.#watch.waitsForSpace(true);
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#waiting) this.#watch.waitsForSpace(false);
  }

  #again(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      // The connection's end, or the job's, is seen by whoever waits for its events.
      this.#look().then(
        () => this.#again(),
        () => this.#again(),
      );
    }, POLL_MS);
  }

  async #look(): Promise<void> {
    const job = (await this.#qmp.execute('query-block-jobs')).find(({ device }) => device === this.#id);
    if (!job || this.#stopped) return;
    this.#done = job.offset;
    this.#watch.progress(job.offset);
    if (!this.#waiting) return;
    if (job.offset > this.#waiting.done) {
      this.#waiting = null;
      this.#watch.waitsForSpace(false);
    } else if (
      job['io-status'] === 'nospace' &&
      performance.now() - this.#waiting.triedAtMs > SPACE_RETRY_MS
    ) {
      this.#waiting.triedAtMs = performance.now();
      await this.#qmp.execute('block-job-resume', { device: this.#id });
    }
  }
}

/** Changes the speed of a job that may have ended meanwhile. Bytes a second; 0n for unlimited. */
export async function setJobSpeed(qmp: QmpClient, id: string, speed: bigint): Promise<void> {
  try {
    await qmp.execute('block-job-set-speed', { device: id, speed });
  } catch (error) {
    // Not there any more, or concluded: QEMU has no one class for it, and refuses a running job's speed for no reason.
    if (!(error instanceof QmpCommandError)) throw error;
  }
}
