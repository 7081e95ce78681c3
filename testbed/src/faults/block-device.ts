// Loop devices that stand in for logical volumes, whole ones and ones that fail on demand.
import { mkdir, rmdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { type AttachedProcess, startAttached } from '../process/attached.ts';
import { run } from '../process/run.ts';
import { type FaultyNbdServer, type FaultyNbdServerOptions, faultyNbdServer } from './nbd-server.ts';

/**
 * Makes a block device of a file below the host's directory. It is detached by `stop`, or with the host.
 * @throws {RunError} when there is no free loop device.
 */
export async function loopDevice(host: LibvirtHost, path: string): Promise<LoopDevice> {
  if (!path.startsWith(`${host.directory}/`)) throw new Error(`${path} is not below ${host.directory}`);
  const { stdout } = await run(['losetup', '--find', '--show', path]);
  return new LoopDevice(stdout.trim());
}

export class LoopDevice {
  /** /dev/loopN */
  readonly device: string;
  #detached: Promise<unknown> | undefined;

  constructor(device: string) {
    this.device = device;
  }

  async stop(): Promise<void> {
    this.#detached ??= run(['losetup', '--detach', this.device]);
    await this.#detached;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/**
 * A block device whose requests fail with EIO or ENOSPC while `fail()` is in force: a loop device on a faulty file. Give
 * its `<source>` `<seclabel model='dac' relabel='no'/>`.
 * @throws {Error}
 */
export async function faultyBlockDevice(
  host: LibvirtHost,
  options: FaultyNbdServerOptions,
): Promise<FaultyBlockDevice> {
  const file = await faultyFile(host, options);
  try {
    return new FaultyBlockDevice(file, await loopDevice(host, file.path));
  } catch (cause) {
    await file.stop();
    throw cause;
  }
}

/**
 * A file that FUSE shows below the host's images, whose requests fail while `fail()` is in force: an NBD client feeds it
 * from nbdkit.
 * @throws {Error}
 */
export async function faultyFile(host: LibvirtHost, options: FaultyNbdServerOptions): Promise<FaultyFile> {
  const server = await faultyNbdServer(options);
  const view = join(host.imagesDir, `${basename(options.path)}.view`);
  try {
    await mkdir(view);
    const fuse = await startAttached(
      ['nbdfuse', '-o', 'allow_other', `${view}/disk`, server.uri],
      async () => {
        return (await run(['mountpoint', '-q', view], { accept: [0, 1, 32] })).code === 0;
      },
    );
    return new FaultyFile(server, fuse, view);
  } catch (cause) {
    await server.stop();
    throw cause;
  }
}

export class FaultyFile {
  readonly path: string;
  readonly #server: FaultyNbdServer;
  readonly #fuse: AttachedProcess;
  readonly #view: string;

  constructor(server: FaultyNbdServer, fuse: AttachedProcess, view: string) {
    this.#server = server;
    this.#fuse = fuse;
    this.#view = view;
    this.path = `${view}/disk`;
  }

  /** From now on its requests fail. */
  fail(): Promise<void> {
    return this.#server.fail();
  }

  heal(): Promise<void> {
    return this.#server.heal();
  }

  /** From now on its requests wait, until `resume`. */
  hang(): void {
    this.#server.hang();
  }

  resume(): void {
    this.#server.resume();
  }

  async stop(): Promise<void> {
    this.resume();
    await this.#fuse.kill();
    await run(['umount', '-l', this.#view], { accept: [0, 1, 32] });
    await rmdir(this.#view).catch(() => undefined);
    await this.#server.stop();
  }
}

export class FaultyBlockDevice {
  readonly device: string;
  readonly #file: FaultyFile;
  readonly #loop: LoopDevice;

  constructor(file: FaultyFile, loop: LoopDevice) {
    this.#file = file;
    this.#loop = loop;
    this.device = loop.device;
  }

  /** From now on its requests fail. */
  fail(): Promise<void> {
    return this.#file.fail();
  }

  heal(): Promise<void> {
    return this.#file.heal();
  }

  /** From now on its requests wait, until `resume`. */
  hang(): void {
    this.#file.hang();
  }

  resume(): void {
    this.#file.resume();
  }

  async stop(): Promise<void> {
    this.resume();
    await this.#loop.stop();
    await this.#file.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
