// A directory with layers to copy, for the tests on the real storage daemon.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
    await copy.run(AbortSignal.timeout(60_000));
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
