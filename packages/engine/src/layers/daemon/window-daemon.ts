// A storage daemon that copies or verifies one window after the other.
import {
  addPassphrases,
  type Host,
  type Image,
  type NodeOptions,
  type QmpClient,
  QmpCommandError,
  QmpConnectionError,
  type StorageDaemon,
  startStorageDaemon,
  tlsObject,
} from '@blockferry/qemu';
import { Depth } from '../depth.ts';
import type { Layer } from '../layer.ts';
import type { LayerPlan } from '../layer-plan.ts';
import type { Slot } from '../window-memory.ts';
import {
  hasSmallClusters,
  IN_MEMORY,
  keepingNodes,
  keptNodes,
  readBackNodes,
  sourceNodes,
  targetNodes,
  type WindowNodes,
} from '../window-trees.ts';
import type { Window } from '../windows.ts';
import { type JobEnd, type JobWatch, runBlockJob, setJobSpeed } from './block-job.ts';
import { type MakeNodes, type OpenNodes, openNodes } from './open-nodes.ts';
import { refusedBy, windowFailed } from './outcome.ts';

const MiB = 1024 * 1024;
/**
 * A backup job takes a new buffer for each request. By default glibc gets those from the kernel and gives them back, and
 * the zeroing of their pages costs 0.7 s of CPU for each GiB copied: four times as much as all the rest.
 */
const KEEP_BUFFERS = { MALLOC_MMAP_THRESHOLD_: String(32 * MiB), MALLOC_TRIM_THRESHOLD_: String(1024 * MiB) };

/** For jobs whose progress nobody counts. */
const QUIET: JobWatch = { progress: () => {}, waitsForSpace: () => {} };

/** This QEMU was built without the quorum driver. */
export class QuorumMissing extends Error {
  override readonly name = 'QuorumMissing';
}

/** A window that is open for copying. Whatever fails, its nodes go with the daemon. */
export interface WindowCopy {
  /** One window after the other. @throws LayerFailed, LayerInUse; QmpConnectionError when the daemon ends */
  write(watch: JobWatch): Promise<void>;
  /** Stops and goes on with what is written. @throws QmpCommandError when nothing is; QmpConnectionError */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /**
   * Brings what was written to stable storage, unless that is for the host to do (isFlushedByHost).
   * @throws LayerFailed; QmpConnectionError
   */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export class WindowDaemon {
  readonly #daemon: StorageDaemon;
  readonly #depth = new Depth();
  #speed: bigint;
  #count = 0;
  /** The jobs that run: one that writes, and one that reads ahead into memory. */
  readonly #jobs = new Set<string>();

  private constructor(daemon: StorageDaemon, speed: bigint) {
    this.#daemon = daemon;
    this.#speed = speed;
  }

  /**
   * @param speed bytes a second for every job; 0n for unlimited
   * @param images all that it is going to open, for their credentials and passphrases
   * @throws StorageDaemonError, HostError
   */
  static async start(
    host: Host,
    speed: bigint,
    images: readonly Image[],
    signal: AbortSignal,
  ): Promise<WindowDaemon> {
    const daemon = await startStorageDaemon(host, { signal, environment: KEEP_BUFFERS, yields: true });
    const credentials = images.flatMap(({ location }) => (location.kind === 'nbd' ? [location.tls] : []));
    const tls = credentials.find((each) => each !== undefined);
    if (tls) {
      const { 'qom-type': type, id, ...rest } = tlsObject(tls);
      await daemon.qmp.execute('object-add', { ...rest, 'qom-type': String(type), id: String(id) });
    }
    await addPassphrases(daemon.qmp, images);
    return new WindowDaemon(daemon, speed);
  }

  get #qmp(): QmpClient {
    return this.#daemon.qmp;
  }

  /** The last of what it wrote to standard error. */
  lastWords(): string {
    return this.#daemon.stderr().trim().split('\n').at(-1) ?? '';
  }

  /** Of one that has ended: see StorageDaemon. */
  isHostLost(): Promise<boolean> {
    return this.#daemon.isHostLost();
  }

  /** For the jobs that run and all that follow. */
  async setSpeed(speed: bigint): Promise<void> {
    this.#speed = speed;
    await Promise.all([...this.#jobs].map((job) => setJobSpeed(this.#qmp, job, speed)));
  }

  /** Ends it, together with what it is doing. May be called again. */
  async stop(timeoutMs: number): Promise<void> {
    await this.#daemon.stop(timeoutMs);
  }

  /**
   * Reads a window of the source into memory, which may be done while another one is being copied. False if that cannot
   * be done, whatever the reason: who goes on with the source itself finds it.
   *
   * @throws QmpConnectionError when the daemon ends
   */
  async keep(layer: Layer, window: Window, slot: Slot, watch: JobWatch): Promise<boolean> {
    try {
      await using source = await this.#open(layer, window, 'source', sourceNodes);
      await using memory = await this.#openSlot(layer, slot, keepingNodes);
      const job = { ...this.#newJob(layer.plan), device: source.name, target: memory.name };
      const end = await this.#backup(job, window, { watch, whenFull: 'report', smallClusters: true });
      return end.kind === 'done';
    } catch (error) {
      if (error instanceof QmpConnectionError) throw error;
      return false;
    }
  }

  /**
   * Opens a window for copying, which may be done while another one is being copied.
   *
   * @param slot where its contents are kept in memory; undefined: they are read from the source
   * @throws LayerFailed, LayerInUse; QmpConnectionError when the daemon ends
   */
  async openCopy(layer: Layer, window: Window, slot?: Slot): Promise<WindowCopy> {
    const { plan } = layer;
    const source = await this.#openContents(layer, window, slot);
    const target = await this.#open(layer, window, 'target', targetNodes);
    const job = { ...this.#newJob(plan), device: source.name, target: target.name };
    const tell = async (command: 'block-job-pause' | 'block-job-resume') => {
      await this.#qmp.execute(command, { device: job.id });
    };
    return {
      write: async (watch) => {
        const smallClusters = hasSmallClusters(plan);
        const end = await this.#backup(job, window, { watch, whenFull: 'enospc', smallClusters });
        if (end.kind === 'failed') throw windowFailed(plan, window, end);
      },
      pause: () => tell('block-job-pause'),
      resume: () => tell('block-job-resume'),
      flush: async () => {
        try {
          await target.flush();
        } catch (error) {
          throw refusedBy(plan, 'destination', window, error);
        }
      },
      close: async () => {
        await target[Symbol.asyncDispose]();
        await source[Symbol.asyncDispose]();
      },
    };
  }

  /**
   * Reads a window of source (or what memory keeps of it) and copy and compares them: are they the same? False also when
   * one cannot be read. A backup into nowhere of a quorum of the two, in which both have to agree: QEMU reads both at
   * once, with many requests under way, and compares in memory. (It has events for what went wrong, but drops all but
   * one a second.)
   *
   * @throws QuorumMissing; LayerFailed, LayerInUse when one cannot be opened; QmpConnectionError when the daemon ends
   */
  async isSame(layer: Layer, window: Window, slot?: Slot, watch: JobWatch = QUIET): Promise<boolean> {
    await using source = await this.#openContents(layer, window, slot);
    await using copy = await this.#open(layer, window, 'copy', readBackNodes);
    await using both = await this.#addQuorum([source.name, copy.name]);
    await using nowhere = await this.#add('nowhere', { driver: 'null-co', size: window.nodeLength });
    const job = { ...this.#newJob(layer.plan), device: both.name, target: nowhere.name };
    const smallClusters = hasSmallClusters(layer.plan);
    const end = await this.#backup(job, window, { watch, whenFull: 'report', smallClusters });
    return end.kind === 'done';
  }

  #openContents(layer: Layer, window: Window, slot: Slot | undefined): Promise<OpenNodes> {
    return slot ? this.#openSlot(layer, slot, keptNodes) : this.#open(layer, window, 'source', sourceNodes);
  }

  #openSlot(
    { plan }: Layer,
    slot: Slot,
    make: (slot: Slot, name: string) => WindowNodes,
  ): Promise<OpenNodes> {
    this.#count += 1;
    const name = `memory-${this.#count}`;
    const { window } = slot;
    return openNodes(this.#qmp, { plan, window, name, make: () => make(slot, name), access: IN_MEMORY });
  }

  async #addQuorum(children: readonly string[]): Promise<Added> {
    const options = { driver: 'quorum', children, 'vote-threshold': children.length, 'read-only': true };
    try {
      return await this.#add('both', options);
    } catch (error) {
      throw error instanceof QmpCommandError ? new QuorumMissing(error.message, { cause: error }) : error;
    }
  }

  async #open(layer: Layer, window: Window, role: Role, make: MakeNodes): Promise<OpenNodes> {
    this.#count += 1;
    const request = { plan: layer.plan, window, name: `${role}-${this.#count}`, make };
    try {
      const nodes = await openNodes(this.#qmp, { ...request, access: layer.access.get(role) });
      layer.access.set(role, nodes.access);
      return nodes;
    } catch (error) {
      throw refusedBy(layer.plan, role === 'source' ? 'source' : 'destination', window, error);
    }
  }

  async #add(role: string, options: AddOptions): Promise<Added> {
    this.#count += 1;
    const name = `${role}-${this.#count}`;
    await this.#qmp.execute('blockdev-add', { ...options, 'node-name': name });
    const remove = () => this.#qmp.execute('blockdev-del', { 'node-name': name });
    return { name, [Symbol.asyncDispose]: () => remove().then(undefined, () => {}) };
  }

  #newJob(plan: LayerPlan): Pick<Backup, 'id' | 'plan'> {
    this.#count += 1;
    return { id: `job-${this.#count}`, plan };
  }

  async #backup(job: Backup, window: Window, { watch, whenFull, smallClusters }: How): Promise<JobEnd> {
    const { id, plan, device, target } = job;
    const began = { at: performance.now(), speed: this.#speed };
    const start = async () => {
      this.#jobs.add(id);
      await this.#qmp.execute('blockdev-backup', {
        'job-id': id,
        device,
        target,
        sync: 'full',
        speed: this.#speed,
        'on-source-error': 'report',
        'on-target-error': whenFull,
        'auto-dismiss': false,
        'x-perf': this.#depth.requests(this.#speed, smallClusters),
      });
      // It may have been changed since the command was written.
      await setJobSpeed(this.#qmp, id, this.#speed);
    };
    try {
      const end = await runBlockJob(this.#qmp, id, start, watch);
      const speed = began.speed === this.#speed ? this.#speed : undefined;
      this.#depth.learn({ bytes: window.length, ms: performance.now() - began.at, speed });
      return end;
    } catch (error) {
      throw refusedBy(plan, undefined, window, error);
    } finally {
      this.#jobs.delete(id);
    }
  }
}

interface Backup {
  readonly id: string;
  readonly plan: LayerPlan;
  readonly device: string;
  readonly target: string;
}

interface How {
  readonly watch: JobWatch;
  /** `enospc`: it waits for space. */
  readonly whenFull: 'enospc' | 'report';
  readonly smallClusters: boolean;
}

type Added = AsyncDisposable & { readonly name: string };
type Role = 'source' | 'target' | 'copy';
type AddOptions = Omit<NodeOptions, 'node-name'> & { readonly driver: string };
