// A directory with layers to copy, for the tests on the real storage daemon.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Host, type Image, localHost, startStorageDaemon, toBlockdev } from '@blockferry/qemu';
import { LayerCopy, type LayerCopyOptions } from '../layer-copy.ts';
import { copyJournalPath, type LayerPlan } from '../layer-plan.ts';

export const MiB = 1024n * 1024n;

/** Dispose it to remove everything in it. */
export class Bench implements AsyncDisposable {
  readonly host: Host = localHost();
  readonly directory: string;

  constructor(directory = mkdtempSync(join(tmpdir(), 'bf-layers-'))) {
    this.directory = directory;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  image(name: string, format: string): Image {
    return { location: { kind: 'file', path: this.path(name) }, format };
  }

  /** Runs a program in the directory; returns what it printed. */
  run(program: string, ...args: string[]): string {
    return execFileSync(program, args, {
      cwd: this.directory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Makes an image and runs qemu-io commands on it. */
  make(name: string, format: string, size: string, ...commands: string[]): Image {
    this.run('qemu-img', 'create', '-q', '-f', format, name, size);
    this.write(name, format, ...commands);
    return this.image(name, format);
  }

  write(name: string, format: string, ...commands: string[]): void {
    const args = commands.flatMap((command) => ['-c', command]);
    if (args.length > 0) this.run('qemu-io', '-f', format, ...args, name);
  }

  /** A plan for a copy byte for byte into a new, empty file. */
  plan(from: Image, to: string): LayerPlan {
    const path = this.path(to);
    writeFileSync(path, '', { flag: 'wx' });
    return {
      from,
      to: { location: { kind: 'file', path }, format: from.format },
      how: 'bytes',
      chain: [from],
      journal: copyJournalPath(path),
    };
  }

  copy(plans: readonly LayerPlan[], options: Partial<LayerCopyOptions> = {}): LayerCopy {
    return new LayerCopy(this.host, plans, { windowBytes: MiB, verify: true, moveId: 'move', ...options });
  }

  /** Copies to the end. */
  async copyAll(plans: readonly LayerPlan[], options?: Partial<LayerCopyOptions>): Promise<LayerCopy> {
    const copy = this.copy(plans, options);
    await copy.run(AbortSignal.timeout(240_000));
    return copy;
  }

  /** Holds a raw image as a running guest does, until it is disposed of. */
  async openForWriting(name: string): Promise<AsyncDisposable> {
    const daemon = await startStorageDaemon(this.host);
    const image = { 'node-name': 'image', ...toBlockdev(this.image(name, 'raw')) };
    await daemon.qmp.execute('blockdev-add', image);
    const addr = { type: 'unix', data: { path: this.path(`${name}.socket`) } } as const;
    await daemon.qmp.execute('nbd-server-start', { addr });
    const options = { type: 'nbd', id: 'export', 'node-name': 'image', writable: true } as const;
    await daemon.qmp.execute('block-export-add', options);
    return daemon;
  }

  /** Kills whatever has the file open, as a crash would; false if nothing has. */
  killUsersOf(name: string): boolean {
    const { stdout } = spawnSync('fuser', [this.path(name)], { encoding: 'utf8' });
    const pids = stdout.split(/\s+/).filter((text) => text !== '');
    for (const pid of pids) process.kill(Number(pid), 'SIGKILL');
    return pids.length > 0;
  }

  /** A block device of a file, until it is disposed of. */
  loopDevice(name: string): Disposable & { readonly path: string } {
    const path = this.run('losetup', '--find', '--show', this.path(name)).trim();
    return { path, [Symbol.dispose]: () => void this.run('losetup', '--detach', path) };
  }

  /** A file system of this size, in megabytes such as `6M`, until it is disposed of. */
  mountTmpfs(name: string, size: string): Disposable & { grow(size: string): void } {
    mkdirSync(this.path(name));
    this.run('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'none', name);
    return {
      grow: (to) => void this.run('mount', '-o', `remount,size=${to}`, name),
      [Symbol.dispose]: () => void this.run('umount', '-l', name),
    };
  }

  /** Starts a server, which is ready when `socket` is there, and ends when it is disposed of. */
  async attach(socket: string, [program = '', ...args]: readonly string[]): Promise<AsyncDisposable> {
    const child = spawn(program, args, { stdio: 'ignore' });
    while (!existsSync(socket) && child.exitCode === null) await sleep(5);
    const stop = async () => {
      if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit');
    };
    return { [Symbol.asyncDispose]: stop };
  }

  /** Starts copying in a process of its own; see copy-until-killed.ts. */
  startCopying(plan: LayerPlan, windowBytes: bigint, speed: bigint): CopyingProcess {
    return new CopyingProcess([JSON.stringify(plan), String(windowBytes), String(speed)]);
  }

  /** Are the two files the same, byte for byte? */
  same(a: string, b: string): boolean {
    try {
      this.run('cmp', '-s', a, b);
      return true;
    } catch {
      return false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A copier that may be killed at any time. */
export class CopyingProcess {
  readonly #child: ChildProcess;
  #output = '';
  #stderr = '';

  constructor(args: readonly string[]) {
    const program = fileURLToPath(new URL('copy-until-killed.ts', import.meta.url));
    const node = ['--conditions=blockferry-source', program, ...args];
    this.#child = spawn(process.execPath, node, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.#output += chunk.toString();
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
  }

  /** Bytes that it has written, as it said last. */
  get written(): bigint {
    return BigInt(this.#output.trim().split('\n').at(-1) ?? 0);
  }

  /** Waits until it has ended or written so much, then kills it; true if it had come to its own, good end. */
  async killAt(bytes: bigint): Promise<boolean> {
    while (this.#child.exitCode === null && this.written < bytes) await sleep(2);
    const exited = this.#child.exitCode === null ? once(this.#child, 'exit') : undefined;
    this.#child.kill('SIGKILL');
    await exited;
    if (this.#child.exitCode !== null && this.#child.exitCode !== 0) throw new Error(this.#stderr);
    return this.#child.exitCode === 0;
  }
}
