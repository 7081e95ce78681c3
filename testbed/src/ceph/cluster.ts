// A real Ceph to throw away: one monitor and one OSD that keeps its data in memory, on free ports of loopback.
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../faults/nbd-server.ts';
import { escapeXml } from '../guest/domain-xml.ts';
import { type AttachedProcess, startAttached } from '../process/attached.ts';
import { type RunResult, run } from '../process/run.ts';
import { type CephPorts, cephConf, impatient, monitorAddress } from './configuration.ts';

export type CephOptions = {
  /** Where its directory is made: below a testbed host's, it is removed with that, whatever happens to us. */
  readonly parent: string;
  /** Bytes that the OSD can hold, in memory; default 1 GiB. */
  readonly bytes?: bigint;
  /** Default `none`: everybody is let in. */
  readonly auth?: 'cephx' | 'none';
};

/** The pool that every cluster has. */
const POOL = 'rbd';

/**
 * Starts a cluster in 5 to 7 s. Several run at once. It ends with `stop()`, its `await using` scope, or this process.
 * @throws {Error} with the daemons' words when it does not start.
 */
export async function startCeph(options: CephOptions): Promise<CephCluster> {
  const directory = await mkdtemp(join(options.parent, 'ceph-'));
  const ports: CephPorts = { v2: await freePort(), v1: await freePort() };
  const cluster = new CephCluster(directory, randomUUID(), ports);
  try {
    await cluster.create(options.bytes ?? 1n << 30n, options.auth ?? 'none');
    return cluster;
  } catch (cause) {
    await cluster.stop();
    throw new Error('Ceph does not start', { cause });
  }
}

export class CephCluster {
  readonly directory: string;
  readonly fsid: string;
  readonly ports: CephPorts;
  /** For clients: bounds no wait, as an operator's own would not. */
  readonly conf: string;
  readonly #adminConf: string;
  #monitor: AttachedProcess | undefined;
  #osd: AttachedProcess | undefined;

  constructor(directory: string, fsid: string, ports: CephPorts) {
    this.directory = directory;
    this.fsid = fsid;
    this.ports = ports;
    this.conf = join(directory, 'ceph.conf');
    this.#adminConf = join(directory, 'admin.conf');
  }

  /** Makes and starts the daemons, and the pool. For startCeph. */
  async create(bytes: bigint, auth: 'cephx' | 'none'): Promise<void> {
    const { directory, fsid, ports } = this;
    const conf = cephConf({ directory, fsid, ports, bytes, auth });
    await run(['chmod', '755', directory]);
    await writeFile(this.conf, conf);
    await writeFile(this.#adminConf, impatient(conf));
    await Promise.all(['mon.a', 'osd.0'].map((name) => mkdir(join(directory, name))));
    const map = join(directory, 'monmap');
    await run(['monmaptool', '--create', '--fsid', fsid, '--addv', 'a', monitorAddress(ports), map]);
    const keys = auth === 'none' ? [] : ['--keyring', await this.#makeKeys()];
    await run(['ceph-mon', '-c', this.conf, '-i', 'a', '--mkfs', '--monmap', map, ...keys]);
    await this.startMonitor();
    const osd = randomUUID();
    if (auth !== 'none') {
      const rights = ['mon', 'allow profile osd', 'osd', 'allow *'];
      await this.ceph('auth', 'get-or-create', 'osd.0', ...rights, '-o', join(directory, 'osd.0/keyring'));
    }
    await this.ceph('osd', 'new', osd);
    await run(['ceph-osd', '-c', this.conf, '-i', '0', '--mkfs', '--osd-uuid', osd]);
    await this.startOsd();
    await this.ceph('osd', 'pool', 'create', POOL, '8', '8');
    // The first write waits until the pool's placement groups are up.
    await this.createImage('first', 1n << 20n);
    await this.rbd('rm', `${POOL}/first`);
  }

  /** The monitor's key and the administrator's. Returns the path of both together. */
  async #makeKeys(): Promise<string> {
    const [all, admin] = ['mon.keyring', 'client.admin.keyring'].map((name) => join(this.directory, name));
    if (all === undefined || admin === undefined) throw new Error('two names');
    const make = (path: string, name: string, ...rights: readonly string[]) =>
      run(['ceph-authtool', '--create-keyring', path, '--gen-key', '-n', name, ...rights]);
    await make(all, 'mon.', '--cap', 'mon', 'allow *');
    await make(admin, 'client.admin', '--cap', 'mon', 'allow *', '--cap', 'osd', 'allow *');
    await run(['ceph-authtool', all, '--import-keyring', admin]);
    return all;
  }

  /**
   * Makes a user that may use the pool, with a keyring that root alone may read and that is found by `conf`.
   * Returns its key.
   */
  async addUser(name: string): Promise<string> {
    const keyring = join(this.directory, `client.${name}.keyring`);
    const rights = ['mon', 'profile rbd', 'osd', `profile rbd pool=${POOL}`];
    await this.ceph('auth', 'get-or-create', `client.${name}`, ...rights, '-o', keyring);
    await run(['chmod', '600', keyring]);
    return (await this.ceph('auth', 'print-key', `client.${name}`)).stdout.trim();
  }

  async startMonitor(): Promise<void> {
    const argv = ['ceph-mon', '-f', '-c', this.conf, '-i', 'a'];
    this.#monitor ??= await startAttached(argv, () => this.#says('mon', 'stat'));
  }

  async startOsd(): Promise<void> {
    const argv = ['ceph-osd', '-f', '-c', this.conf, '-i', '0'];
    this.#osd ??= await startAttached(argv, async () => {
      const { stdout } = await this.ceph('osd', 'stat', '--format', 'json');
      return (JSON.parse(stdout) as { readonly num_up_osds: number }).num_up_osds === 1;
    });
  }

  /** Kills the monitor: clients that are connected work on, new ones wait for ever (librados: 300 s). */
  async killMonitor(): Promise<void> {
    await this.#monitor?.kill();
    this.#monitor = undefined;
  }

  /** From now on every read and write of every client waits. */
  async pause(): Promise<void> {
    await this.ceph('osd', 'pause');
  }

  async resume(): Promise<void> {
    await this.ceph('osd', 'unpause');
  }

  /** @throws {RunError} after some seconds when the cluster does not answer */
  ceph(...args: readonly string[]): Promise<RunResult> {
    return run(['ceph', '-c', this.#adminConf, ...args]);
  }

  /** @throws {RunError} */
  rbd(...args: readonly string[]): Promise<RunResult> {
    return run(['rbd', '-c', this.#adminConf, ...args]);
  }

  async createImage(name: string, bytes: bigint): Promise<void> {
    await this.rbd('create', '--size', `${bytes}B`, `${POOL}/${name}`);
  }

  /** Names of the pool's images. */
  async images(): Promise<readonly string[]> {
    const { stdout } = await this.rbd('ls', '--format', 'json', POOL);
    return JSON.parse(stdout) as readonly string[];
  }

  /** Bytes of the objects that an image has. */
  async allocated(name: string): Promise<bigint> {
    const { stdout } = await this.rbd('du', '--format', 'json', `${POOL}/${name}`);
    const { images } = JSON.parse(stdout) as { readonly images: readonly { readonly used_size: number }[] };
    return BigInt(images[0]?.used_size ?? 0);
  }

  /** As QEMU and blockferry write it. */
  uri(name: string): string {
    return `rbd:${POOL}/${name}:conf=${this.conf}`;
  }

  /** The `<source>` element of a libvirt disk of type `network`. */
  sourceXml(name: string): string {
    const host = `<host name='127.0.0.1' port='${this.ports.v1}'/>`;
    const config = `<config file='${escapeXml(this.conf)}'/>`;
    return `<source protocol='rbd' name='${POOL}/${escapeXml(name)}'>${host}${config}</source>`;
  }

  /** The block node, as `verifyAcknowledged` and QEMU's `blockdev-add` take it. */
  node(name: string): Readonly<Record<string, unknown>> {
    return { driver: 'rbd', pool: POOL, image: name, conf: this.conf };
  }

  async stop(): Promise<void> {
    await this.#osd?.kill();
    await this.#monitor?.kill();
    await rm(this.directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #says(...args: readonly string[]): Promise<boolean> {
    return this.ceph(...args).then(
      () => true,
      () => false,
    );
  }
}
