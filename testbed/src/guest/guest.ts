// The tiny guest as a running domain: started in one call, and asked what it has flushed so far.
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { until } from '../process/until.ts';
import { startBooted } from './booted.ts';
import { type GuestProgram, provideBoot } from './built.ts';
import { type DomainSpec, domainXml, type GuestWriter } from './domain-xml.ts';
import { type Latencies, latenciesOf } from './latencies.ts';
import { LogFile } from './log-file.ts';
import { type Acknowledged, DiskReport, type Sample } from './report.ts';

/** A part of a disk, in bytes: the guest's writer keeps to it. */
export type Region = { readonly offset: bigint; readonly length: bigint };

/**
 * A writer with everything filled in: 100 blocks of 4 KiB a second, each flushed and read back before it is
 * overwritten, from a random seed.
 */
export function guestWriter(disk: string, region: Region, options: Partial<GuestWriter> = {}): GuestWriter {
  return {
    disk,
    offset: region.offset,
    length: region.length,
    run: randomBytes(8).toString('hex'),
    seed: randomInt(2 ** 32),
    blockBytes: 4096,
    rate: 100,
    batch: 1,
    readback: true,
    ...options,
  };
}

export type GuestSpec = Omit<DomainSpec, 'kernel' | 'initrd' | 'serialLog'> & {
  /** Default true. A transient domain is gone when it stops. */
  readonly persistent?: boolean;
  readonly program?: GuestProgram;
};

/** How the guest fared over a time. Its clock stands still while the machine is paused by QEMU. */
export type GuestStats = {
  readonly writes: number;
  readonly longestWriteMs: number;
  /** The longest time without a finished flush; it counts a wait that has not ended yet. */
  readonly longestGapMs: number;
  readonly guestMs: number;
  readonly writesPerSecond: number;
};

/**
 * Defines and starts a domain with the tiny guest, which has booted already (see booted.ts), and returns when each of its
 * writers has flushed a block.
 * @throws {Error} with the guest's own words when it does not write in time; {RunError} when libvirt refuses.
 */
export async function startGuest(host: LibvirtHost, spec: GuestSpec): Promise<Guest> {
  const files = await provideBoot(host, spec.program);
  const serialLog = join(host.directory, 'log', `guest-${spec.name}.log`);
  const xml = domainXml({ uuid: randomUUID(), ...spec, ...files, serialLog });
  const xmlFile = join(host.directory, 'guest', `${spec.name}.xml`);
  await writeFile(xmlFile, xml);
  const guest = new Guest(host, xml, serialLog, spec);
  const persistent = spec.persistent ?? true;
  if (persistent) await host.virsh('define', xmlFile);
  if (!boots(spec)) await startBooted(host, xml);
  else if (persistent) await host.virsh('start', spec.name);
  else await host.virsh('create', xmlFile);
  await guest.waitUntilUp();
  return guest;
}

/** The state that is kept is of the plain image in a machine of the usual size: any other guest boots. */
function boots({ program, memoryMiB, type }: GuestSpec): boolean {
  return program !== undefined || memoryMiB !== undefined || type === 'kvm';
}

export class Guest {
  readonly host: LibvirtHost;
  readonly name: string;
  readonly xml: string;
  readonly serialLog: string;
  readonly writers: readonly GuestWriter[];
  readonly #boots: boolean;
  readonly #log: LogFile;
  readonly #reports = new Map<string, DiskReport>();
  #ups = 0;

  constructor(host: LibvirtHost, xml: string, serialLog: string, spec: GuestSpec) {
    this.host = host;
    this.name = spec.name;
    this.xml = xml;
    this.serialLog = serialLog;
    this.writers = spec.writers ?? [];
    this.#boots = boots(spec);
    this.#log = new LogFile(serialLog);
    for (const { disk } of this.writers) this.#reports.set(disk, new DiskReport(disk));
  }

  /** Everything the guest reported of one disk so far, all its lives together. Default: the first writer's disk. */
  async acknowledged(disk?: string): Promise<Acknowledged> {
    const writer = this.#writer(disk);
    return (await this.#read(writer.disk)).acknowledged(writer);
  }

  /** A place in the report from which `stats` can count. */
  async mark(disk?: string): Promise<number> {
    return (await this.#read(this.#writer(disk).disk)).samples.length;
  }

  /** How the guest fared since `mark` (default: since it was first started), as far as it has reported. */
  async stats(mark = 0, disk?: string): Promise<GuestStats> {
    const report = await this.#read(this.#writer(disk).disk);
    return summary(report.samples.slice(mark), report.stuckUs);
  }

  /** A place in the report of single writes from which `latencies` can count. */
  async latencyMark(disk?: string): Promise<number> {
    return (await this.#read(this.#writer(disk).disk)).latencies.length;
  }

  /** What single writes took since `mark`, up to another one. The guest tells it every quarter of a second. */
  async latencies(mark = 0, until?: number): Promise<Latencies> {
    const { latencies } = await this.#read(this.#writer(undefined).disk);
    return latenciesOf(latencies.slice(mark, until), latencies[mark - 1]);
  }

  /** Waits until the guest has reported `count` more flushed blocks. @throws {Error} with its log's end. */
  async waitForWrites(count: number, options: { disk?: string; timeoutMs?: number } = {}): Promise<void> {
    const { disk } = this.#writer(options.disk);
    const before = (await this.#read(disk)).writes;
    await this.#await(`${count} more writes of ${disk}`, options.timeoutMs, async () => {
      return (await this.#read(disk)).writes - before >= count;
    });
  }

  /** Waits until the guest has reported a line for which `seen` is true, such as an error of its disk. */
  async waitForReport(
    what: string,
    seen: (said: Acknowledged) => boolean,
    options: { disk?: string; timeoutMs?: number } = {},
  ): Promise<Acknowledged> {
    await this.#await(what, options.timeoutMs, async () => seen(await this.acknowledged(options.disk)));
    return this.acknowledged(options.disk);
  }

  /**
   * Boots the guest again after it stopped (its persistent definition), and waits until it writes. Where its QEMU was
   * just killed it waits for libvirt to notice, which is a moment later and refuses a start until then.
   */
  async start(): Promise<void> {
    await this.#off();
    await this.host.virsh('start', this.name);
    await this.waitUntilUp();
  }

  /** As `start`, from the same definition, but as a machine that has booted already, unless it is of another kind. */
  async startBooted(): Promise<void> {
    if (this.#boots) return this.start();
    await this.#off();
    const persistent = await this.host.virsh('dumpxml', '--inactive', '--security-info', this.name);
    await startBooted(this.host, persistent);
    await this.waitUntilUp();
  }

  /** Cuts the power. What the guest reported is still to be had. Does nothing when it does not run. */
  async stop(): Promise<void> {
    const state = await this.host.virsh('domstate', this.name).catch(() => 'gone');
    if (!/gone|shut off/.test(state)) await this.host.virsh('destroy', this.name);
    await this.#read();
  }

  /** Waits until a guest that was just started has flushed a block on each of its disks. */
  async waitUntilUp(timeoutMs = 60_000): Promise<void> {
    const livesBefore = new Map([...this.#reports].map(([disk, report]) => [disk, report.lives]));
    const upsBefore = this.#ups;
    await this.#await(`start of guest ${this.name}`, timeoutMs, async () => {
      await this.#read();
      return (
        this.#ups > upsBefore &&
        [...this.#reports].every(([disk, report]) => {
          return report.lives > (livesBefore.get(disk) ?? 0) && report.flushedInThisLife;
        })
      );
    });
  }

  async #off(): Promise<void> {
    await this.#read();
    const isOff = async () => /shut off/.test(await this.host.virsh('domstate', this.name)) || undefined;
    await until(`end of guest ${this.name}`, isOff);
  }

  #writer(disk?: string): GuestWriter {
    const writer = this.writers.find((each) => disk === undefined || each.disk === disk);
    if (writer === undefined) throw new Error(`guest ${this.name} has no writer on ${disk ?? 'any disk'}`);
    return writer;
  }

  async #read(): Promise<undefined>;
  async #read(disk: string): Promise<DiskReport>;
  async #read(disk?: string): Promise<DiskReport | undefined> {
    for (const line of await this.#log.newLines()) {
      // A machine that was killed in the middle of a line has the next one's first line on the same.
      const text = line.slice(Math.max(0, line.lastIndexOf('@')));
      if (text === '@guest up') this.#ups++;
      for (const report of this.#reports.values()) report.read(text);
    }
    return disk === undefined ? undefined : this.#reports.get(disk);
  }

  async #await(what: string, timeoutMs = 60_000, done: () => Promise<boolean>): Promise<void> {
    try {
      await until(what, async () => ((await done()) ? true : undefined), { timeoutMs });
    } catch (cause) {
      const log = await readFile(this.serialLog, 'latin1').catch(() => 'no report at all');
      throw new Error(`${what}: not within ${timeoutMs} ms. The guest said last:\n${log.slice(-1000)}`, {
        cause,
      });
    }
  }
}

function summary(samples: readonly Sample[], stuckUs: number): GuestStats {
  const writes = samples.reduce((sum, sample) => sum + sample.count, 0);
  const guestMs = (samples.at(-1)?.guestMs ?? 0) - (samples[0]?.guestMs ?? 0);
  const counted = writes - (samples[0]?.count ?? 0);
  return {
    writes,
    longestWriteMs: Math.max(0, ...samples.map((sample) => sample.longestWriteUs)) / 1000,
    longestGapMs: Math.max(stuckUs, ...samples.map((sample) => sample.longestGapUs)) / 1000,
    guestMs,
    writesPerSecond: guestMs > 0 ? (counted * 1000) / guestMs : 0,
  };
}
