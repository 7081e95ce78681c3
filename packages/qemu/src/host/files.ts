// File operations as POSIX shell and coreutils: the same on every host, each in a process that may hang alone.
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf, FileError, HostError, renameCommand } from './errors.ts';
import { parseFileStat, STAT_FORMAT } from './file-stat.ts';
import type {
  FileOptions,
  FileStat,
  FileSystemStat,
  Host,
  RunOptions,
  RunResult,
  StorageProbe,
} from './host.ts';
import { Looks } from './looks.ts';

const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TEXT_BYTES = 64 * 1024 * 1024;
/** Whoever gave up on a write waits no longer for what is left of it to go. */
const DISCARD_MS = 300;

// SIGTERM is how the supervisor tells these that we are dead (shell.ts). What they made for themselves goes then.
// `sync FILE` is fsync(2) of that file or directory (coreutils 8.24). The count is checked because our death in the
// middle of the input looks like its end, and half a file must never get the name. A power failure leaves the temporary
// file, as does storage that hangs: the next write of the same file removes it.
const WRITE_ATOMIC = `
umask 077
find "$5" -maxdepth 1 -name "$6" -mmin +1 -delete 2>/dev/null
trap 'rm -f -- "$2"; exit 143' TERM
cat > "$2" && [ "$(stat -c %s -- "$2")" = "$3" ] && chmod "$4" -- "$2" && sync -- "$2" &&
  mv -fT -- "$2" "$1" && sync -- "$5" || { s=$?; rm -f -- "$2"; exit $s; }`;

const RENAME = `
[ "$(stat -c %d -- "$1")" = "$(stat -c %d -- "$(dirname -- "$2")")" ] || { echo 'Invalid cross-device link' >&2; exit 1; }
mv -fT -- "$1" "$2"`;

// One process decides what it is and probes it, so that the deadline covers both. The file is unlinked as soon as it is
// open: a process killed while the storage hangs leaves nothing behind.
const PROBE = `
if [ -b "$1" ]; then exec dd if="$1" of=/dev/null bs=4096 count=1 iflag=direct status=none; fi
if [ -d "$1" ]; then d=$1; else d=$(dirname -- "$1"); fi
trap 'rm -f -- "$d/$2"; exit 143' TERM
exec 4> "$d/$2" && rm -f -- "$d/$2" && dd if=/dev/zero bs=4096 count=1 conv=fsync status=none >&4`;

const CREATE_EXCLUSIVE = 'umask 077; set -C; : > "$1" && chmod "$2" -- "$1"';

/** Runs one of the scripts above. */
const script = (text: string, ...args: string[]): string[] => ['/bin/sh', '-c', text, 'sh', ...args];

const modeText = (mode: number): string => mode.toString(8);

type FileOperations = Omit<Host, 'name' | 'isLocal' | 'run' | 'spawn' | 'bring' | 'expose' | 'close'>;

/** The file operations of a host that can run programs. See Host for what they promise. */
export abstract class ShellFiles implements FileOperations {
  abstract readonly name: string;
  /** As Host.run, for commands that end soon and take text without NUL. */
  protected abstract runShort(argv: readonly string[], options: RunOptions): Promise<RunResult>;

  readonly #looks = new Looks((argv, options) => this.runShort(argv, options));

  readFile(path: string, options?: FileOptions): Promise<string | null> {
    return this.#attempt('read', path, ['cat', '--', path], options);
  }

  async writeFileAtomic(
    path: string,
    text: string,
    options: FileOptions & { mode?: number } = {},
  ): Promise<void> {
    if (text.includes('\0')) throw new TypeError('a text cannot contain a NUL character');
    const directory = directoryOf(path);
    const target = createHash('sha256').update(path).digest('hex').slice(0, 12);
    const temporary = `${directory}/.blockferry-${target}-${randomBytes(4).toString('hex')}.tmp`;
    const [count, mode] = [String(Buffer.byteLength(text)), modeText(options.mode ?? 0o600)];
    const argv = script(WRITE_ATOMIC, path, temporary, count, mode, directory, `.blockferry-${target}-*.tmp`);
    try {
      await this.#must('write', path, argv, { ...options, input: text });
    } catch (error) {
      if (isGivenUp(error)) await this.#discard(temporary);
      throw error;
    }
  }

  async createExclusive(path: string, options: FileOptions & { mode?: number } = {}): Promise<void> {
    const argv = script(CREATE_EXCLUSIVE, path, modeText(options.mode ?? 0o600));
    await this.#must('create', path, argv, options);
  }

  async stat(
    path: string,
    options: FileOptions & { followSymlinks?: boolean } = {},
  ): Promise<FileStat | null> {
    const follow = options.followSymlinks === false ? [] : ['-L'];
    const seen = options.signal ? undefined : await this.#looks.ask(absolute(path), follow, STAT_FORMAT);
    const argv = ['stat', ...follow, '-c', STAT_FORMAT, '--', path];
    const text = seen ? this.#read('stat', path, seen) : await this.#attempt('stat', path, argv, options);
    return text === null ? null : parseFileStat(text);
  }

  async statfs(path: string, options?: FileOptions): Promise<FileSystemStat> {
    const text = await this.#must('statfs', path, ['stat', '-f', '-c', '%a %b %S %T', '--', path], options);
    const [available = '0', total = '0', block = '1', ...type] = text.trim().split(' ');
    const unit = BigInt(block);
    return { available: BigInt(available) * unit, total: BigInt(total) * unit, type: type.join(' ') };
  }

  async blockDeviceSize(path: string, options?: FileOptions): Promise<bigint> {
    return BigInt((await this.#must('size', path, ['blockdev', '--getsize64', path], options)).trim());
  }

  async unlink(path: string, options?: FileOptions): Promise<boolean> {
    return (await this.#attempt('unlink', path, ['unlink', '--', path], options)) !== null;
  }

  async readdir(path: string, options?: FileOptions): Promise<string[]> {
    const find = ['find', path, '-mindepth', '1', '-maxdepth', '1', '-printf', '%f\\0'];
    return (await this.#must('readdir', path, find, options)).split('\0').slice(0, -1);
  }

  async mkdir(path: string, options: FileOptions & { parents?: boolean; mode?: number } = {}): Promise<void> {
    const parents = options.parents ? ['-p'] : [];
    const argv = ['mkdir', ...parents, '-m', modeText(options.mode ?? 0o755), '--', path];
    await this.#must('mkdir', path, argv, options);
  }

  async rmdir(path: string, options?: FileOptions): Promise<boolean> {
    return (await this.#attempt('rmdir', path, ['rmdir', '--', path], options)) !== null;
  }

  async rename(from: string, to: string, options?: FileOptions): Promise<void> {
    await this.#must('rename', absolute(from), script(RENAME, from, absolute(to)), options);
  }

  async realpath(path: string, options?: FileOptions): Promise<string> {
    return (await this.#must('realpath', path, ['realpath', '-ez', '--', path], options)).slice(0, -1);
  }

  async chown(path: string, uid: number, gid: number, options?: FileOptions): Promise<void> {
    await this.#must('chown', path, ['chown', `${uid}:${gid}`, '--', path], options);
  }

  async chmod(path: string, mode: number, options?: FileOptions): Promise<void> {
    await this.#must('chmod', path, ['chmod', modeText(mode), '--', path], options);
  }

  async access(path: string, how: 'r' | 'w', options: FileOptions = {}): Promise<boolean> {
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const { code } = await this.#named(`access ${path}`, ['test', `-${how}`, absolute(path)], {
      ...options,
      timeoutMs,
    });
    return code === 0;
  }

  async probeStorage(path: string, timeoutMs: number): Promise<StorageProbe> {
    const name = `.blockferry-${randomBytes(8).toString('hex')}.probe`;
    try {
      const result = await this.#named(`probe ${path}`, script(PROBE, absolute(path), name), { timeoutMs });
      return result.code === 0 ? { ok: true } : { ok: false, why: 'error', detail: result.stderr.trim() };
    } catch (error) {
      if (!(error instanceof HostError) || error.code !== 'timeout') throw error;
      return { ok: false, why: 'hang', detail: `${path} did not answer within ${timeoutMs} ms` };
    }
  }

  /** Removes what a killed command could not. Where the storage hangs, it goes on trying while nobody waits. */
  async #discard(temporary: string): Promise<void> {
    const removed = this.runShort(['rm', '-f', '--', temporary], { timeoutMs: DEFAULT_TIMEOUT_MS });
    await Promise.race([removed.catch(() => {}), sleep(DISCARD_MS)]);
  }

  /** Runs a tool, and reads what it wrote. */
  async #attempt(
    operation: string,
    path: string,
    argv: readonly string[],
    options: FileOptions & { input?: string } = {},
  ): Promise<string | null> {
    absolute(path);
    const limits = { timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS, maxOutputBytes: MAX_TEXT_BYTES };
    return this.#read(
      operation,
      path,
      await this.#named(`${operation} ${path}`, argv, { ...options, ...limits }),
    );
  }

  /** What a tool has written; null when it says that there is no such file. */
  #read(operation: string, path: string, result: RunResult): string | null {
    if (result.code === 0) return result.stdout;
    const error = this.#error(
      operation,
      path,
      result.stderr || `exit status ${result.code ?? result.signal}`,
    );
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  }

  async #must(
    operation: string,
    path: string,
    argv: readonly string[],
    options: FileOptions & { input?: string } = {},
  ): Promise<string> {
    const stdout = await this.#attempt(operation, path, argv, options);
    if (stdout === null) throw this.#error(operation, path, 'No such file or directory');
    return stdout;
  }

  async #named(command: string, argv: readonly string[], options: RunOptions): Promise<RunResult> {
    try {
      return await this.runShort(argv, options);
    } catch (error) {
      throw error instanceof HostError ? renameCommand(error, command) : error;
    }
  }

  #error(operation: string, path: string, stderr: string): FileError {
    return new FileError({ code: errnoOf(stderr), host: this.name, operation, path, detail: stderr.trim() });
  }
}

/** Its command was killed. */
function isGivenUp(error: unknown): boolean {
  return error instanceof HostError && (error.code === 'aborted' || error.code === 'timeout');
}

function absolute(path: string): string {
  if (!path.startsWith('/')) throw new TypeError(`not an absolute path: ${path}`);
  return path;
}

/** The directory part of an absolute path, symlinks and `..` left alone. */
export function directoryOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}
