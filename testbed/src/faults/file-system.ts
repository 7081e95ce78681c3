// File systems of a few MiB that fill up, freeze or fail, mounted where a host's QEMU sees them.
import { mkdir, rm, statfs } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';
import { type FaultyFile, faultyFile } from './block-device.ts';

export type FileSystemOptions = {
  readonly bytes: bigint;
  /** `ext4` (on a loop device; it can freeze, and knows direct I/O) or `tmpfs`. Default ext4. */
  readonly type?: 'ext4' | 'tmpfs';
  /** The directory's name below the host's images. Default `small`. */
  readonly name?: string;
};

/**
 * Mounts a new, empty file system below `host.imagesDir`; QEMUs that run already see it too.
 *
 * It is unmounted by its `stop`, or with the host. Needs root and, for ext4, a loop device.
 * @throws {RunError}
 */
export async function smallFileSystem(
  host: LibvirtHost,
  options: FileSystemOptions,
): Promise<SmallFileSystem> {
  const directory = join(host.imagesDir, options.name ?? 'small');
  await mkdir(directory);
  if (options.type === 'tmpfs') {
    await run(['mount', '-t', 'tmpfs', '-o', `size=${options.bytes},mode=755`, 'tmpfs', directory]);
    return new SmallFileSystem(directory, undefined);
  }
  const backing = join(host.directory, 'guest', `${basename(directory)}.ext4`);
  await run(['truncate', '-s', String(options.bytes), backing]);
  await run(['mke2fs', '-q', '-F', '-t', 'ext4', '-m', '0', backing]);
  await run(['mount', '-o', 'loop', backing, directory]);
  return new SmallFileSystem(directory, backing);
}

export class SmallFileSystem {
  readonly directory: string;
  readonly #backing: string | undefined;
  #frozen = false;
  #mounted = true;

  constructor(directory: string, backing: string | undefined) {
    this.directory = directory;
    this.#backing = backing;
  }

  /** Takes all its room but `leaving` bytes (default 0), so that the next write fails with ENOSPC. */
  async fillUp(leaving = 0n): Promise<void> {
    const { bavail, bsize } = await statfs(this.directory, { bigint: true });
    const bytes = bavail * bsize - leaving;
    // Whoever else writes there may be quicker: what is left then is taken below.
    const accept = leaving === 0n ? [0, 1] : [0];
    if (bytes > 0n) await run(['fallocate', '-l', String(bytes), this.#ballast], { accept });
    if (leaving === 0n)
      await run(['dd', 'if=/dev/zero', 'bs=4k', 'oflag=append', 'conv=notrunc', `of=${this.#ballast}`], {
        accept: [1],
      });
  }

  /** Gives back the room that `fillUp` took. */
  async makeRoom(): Promise<void> {
    await rm(this.#ballast, { force: true });
  }

  /** Everyone who writes to it waits from now on, and cannot even be killed. ext4 only. */
  async freeze(): Promise<void> {
    await run(['fsfreeze', '-f', this.directory]);
    this.#frozen = true;
  }

  async thaw(): Promise<void> {
    if (this.#frozen) await run(['fsfreeze', '-u', this.directory]);
    this.#frozen = false;
  }

  /** Unmounts it (at the latest when its last user closes it) and forgets its content. */
  async stop(): Promise<void> {
    await this.thaw();
    if (!this.#mounted) return;
    this.#mounted = false;
    await run(['umount', '-l', this.directory]);
    await rm(this.directory, { recursive: true, force: true });
    if (this.#backing !== undefined) await rm(this.#backing, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  get #ballast(): string {
    return join(this.directory, '.ballast');
  }
}

/**
 * As smallFileSystem, and its reads and writes fail with EIO while `fail()` is in force. It has no journal, so that it goes
 * on as it was once it is healed: what failed is still in the kernel's memory.
 *
 * @throws {Error}
 */
export async function failingFileSystem(
  host: LibvirtHost,
  { bytes, name = 'failing' }: Omit<FileSystemOptions, 'type'>,
): Promise<FailingFileSystem> {
  const directory = join(host.imagesDir, name);
  const path = join(host.directory, 'guest', `${basename(directory)}.raw`);
  await run(['truncate', '-s', String(bytes), path]);
  const file = await faultyFile(host, { path });
  try {
    await run(['mke2fs', '-q', '-F', '-t', 'ext4', '-m', '0', '-O', '^has_journal', file.path]);
    await mkdir(directory);
    await run(['mount', '-o', 'loop,errors=continue,noinit_itable', file.path, directory]);
  } catch (cause) {
    await file.stop();
    throw cause;
  }
  return new FailingFileSystem(directory, file);
}

export class FailingFileSystem {
  readonly directory: string;
  readonly #file: FaultyFile;

  constructor(directory: string, file: FaultyFile) {
    this.directory = directory;
    this.#file = file;
  }

  fail(): Promise<void> {
    return this.#file.fail();
  }

  heal(): Promise<void> {
    return this.#file.heal();
  }

  async stop(): Promise<void> {
    await this.heal();
    await run(['umount', '-l', this.directory], { accept: [0, 1, 32] });
    await this.#file.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
