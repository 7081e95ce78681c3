// A libvirt host to throw away: its own libvirtd and QEMUs in namespaces of their own, on this machine.
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRunning, outerPid } from '../process/namespace-pids.ts';
import { type RunOptions, type RunResult, run } from '../process/run.ts';
import { until } from '../process/until.ts';
import {
  type HostConfiguration,
  restoreCapabilities,
  saveCapabilities,
  writeConfiguration,
} from './configuration.ts';
import { type Supervisor, supervise } from './supervisor.ts';

export type LibvirtHostOptions = {
  /** The host's name, as its `hostname` and libvirt's capabilities say it. Default `bf-host`. */
  readonly name?: string;
  /** The UUID by which libvirt tells hosts apart in a migration. Default: a random one. */
  readonly uuid?: string;
  /** More lines for libvirtd.conf and qemu.conf; a later line wins over an earlier. */
  readonly libvirtdConf?: readonly string[];
  readonly qemuConf?: readonly string[];
};

/**
 * Starts a libvirt host: libvirtd and virtlogd with their own sockets, state, name, /run and PID namespace.
 *
 * Several run at once. The host ends with `stop()`, with its `await using` scope, and when this process ends
 * in any way, SIGKILL included: its machines and daemons are killed, its mounts and directory removed.
 * Needs root.
 * @throws {Error} with the daemons' logs when they do not start.
 */
export async function startLibvirtHost(options: LibvirtHostOptions = {}): Promise<LibvirtHost> {
  const name = options.name ?? 'bf-host';
  const uuid = options.uuid ?? randomUUID();
  const supervisor = await supervise(name);
  const host = new LibvirtHost(name, uuid, supervisor);
  try {
    await prepare(supervisor.directory, { ...options, uuid });
    await host.inNamespace(['virtlogd', '--daemon']);
    await host.restartLibvirtd();
    await saveCapabilities(join(host.directory, 'cache'));
    return host;
  } catch (cause) {
    const logs = await host.logs();
    await host.stop();
    throw new Error(`libvirtd of host ${name} does not start\n${logs}`, { cause });
  }
}

async function prepare(directory: string, configuration: HostConfiguration): Promise<void> {
  await writeConfiguration(join(directory, 'etc'), configuration);
  await restoreCapabilities(join(directory, 'cache'));
  await mkdir(join(directory, 'run', 'libvirt'), { recursive: true });
  await chmod(join(directory, 'run', 'libvirt'), 0o755);
}

export class LibvirtHost {
  readonly name: string;
  readonly uuid: string;
  /** The connection URI, good from outside the host's namespaces. */
  readonly uri: string;
  readonly socket: string;
  readonly directory: string;
  /** Put images here: the same path inside the host and outside; file systems mounted below are seen in both. */
  readonly imagesDir: string;
  readonly #supervisor: Supervisor;

  constructor(name: string, uuid: string, supervisor: Supervisor) {
    this.name = name;
    this.uuid = uuid;
    this.#supervisor = supervisor;
    this.directory = supervisor.directory;
    this.imagesDir = join(supervisor.directory, 'images');
    this.socket = join(supervisor.directory, 'run/libvirt/libvirt-sock');
    this.uri = `qemu+unix:///system?socket=${this.socket}`;
  }

  /** Runs virsh on this host and returns what it printed. @throws {RunError} when virsh fails or hangs. */
  async virsh(...args: readonly string[]): Promise<string> {
    return (await run(['virsh', '-c', this.uri, ...args])).stdout;
  }

  /** Runs a program inside the host: its mounts, its name, its PID namespace. @throws {RunError} */
  inNamespace(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return run([...this.namespaceCommand(), ...argv], options);
  }

  /** What to put before an argv so that it runs inside the host: for `spawn`, or as the command of an sshd. */
  namespaceCommand(): readonly string[] {
    return ['nsenter', '-t', String(this.#supervisor.initPid), '-m', '-u', '-p', '--'];
  }

  /** Kills the daemon alone with SIGKILL; the machines live on, as they do when libvirtd crashes. */
  async killLibvirtd(): Promise<void> {
    const pid = await this.libvirtdPid();
    if (pid !== undefined) await this.#kill(pid);
  }

  /** Starts libvirtd (again), after killing the one that runs. Returns when it answers. */
  async restartLibvirtd(): Promise<void> {
    await this.killLibvirtd();
    await this.inNamespace(['libvirtd', '--daemon']);
    await this.virsh('version');
  }

  /** The pid of libvirtd as seen from outside; undefined when it does not run. */
  libvirtdPid(): Promise<number | undefined> {
    return this.#pidFrom(join(this.directory, 'run/libvirtd.pid'));
  }

  /** The pid of the domain's QEMU as seen from outside; undefined when it does not run. */
  qemuPid(domain: string): Promise<number | undefined> {
    return this.#pidFrom(join(this.directory, 'run/libvirt/qemu', `${domain}.pid`));
  }

  /** Kills the domain's QEMU with SIGKILL, as the kernel does when memory is short. @throws {Error} if none runs. */
  async killQemu(domain: string): Promise<void> {
    const pid = await this.qemuPid(domain);
    if (pid === undefined) throw new Error(`no QEMU runs for ${domain}`);
    await this.#kill(pid);
  }

  /** All that the host's daemons and QEMUs logged, for the message of a failed test. */
  async logs(): Promise<string> {
    const parts: string[] = [];
    const entries = await readdir(join(this.directory, 'log'), { recursive: true, withFileTypes: true });
    for (const entry of entries.filter((each) => each.isFile())) {
      const file = join(entry.parentPath, entry.name);
      parts.push(`--- ${file}\n${(await readFile(file, 'utf8')).slice(-8_000)}`);
    }
    return parts.join('\n');
  }

  /** Kills the machines and daemons and removes every trace of the host. Does nothing the second time. */
  async stop(): Promise<void> {
    await this.#supervisor.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #pidFrom(file: string): Promise<number | undefined> {
    const text = await readFile(file, 'utf8').catch(() => '');
    const inner = Number.parseInt(text, 10);
    return Number.isNaN(inner) ? undefined : outerPid(this.#supervisor.initPid, inner);
  }

  async #kill(pid: number): Promise<void> {
    process.kill(pid, 'SIGKILL');
    await until(`end of process ${pid}`, async () => ((await isRunning(pid)) ? undefined : true));
  }
}
