// File operations as POSIX shell and coreutils: the same on every host, each in a process that may hang alone.
import { randomBytes } from 'node:crypto';
import { errnoOf, FileError, HostError } from './errors.ts';
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

const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TEXT_BYTES = 64 * 1024 * 1024;

type Run = (argv: readonly string[], options?: RunOptions) => Promise<RunResult>;

/** The file operations of Host. */
export type Files = Pick<
  Host,
  | 'readFile'
  | 'writeFileAtomic'
  | 'createExclusive'
  | 'stat'
  | 'statfs'
  | 'blockDeviceSize'
  | 'unlink'
  | 'readdir'
  | 'mkdir'
  | 'rename'
  | 'realpath'
  | 'chown'
  | 'chmod'
  | 'access'
  | 'probeStorage'
>;

// `sync FILE` is fsync(2) of that file or directory (coreutils 8.24). The count is checked because our death in the
// middle of the input looks like its end, and half a file must never get the name.
const WRITE_ATOMIC = `
umask 077
cat > "$2" && [ "$(stat -c %s -- "$2")" = "$3" ] && chmod "$4" -- "$2" && sync -- "$2" &&
  mv -fT -- "$2" "$1" && sync -- "$5" || { s=$?; rm -f -- "$2"; exit $s; }`;

const RENAME = `
[ "$(stat -c %d -- "$1")" = "$(stat -c %d -- "$(dirname -- "$2")")" ] || { echo 'Invalid cross-device link' >&2; exit 1; }
mv -fT -- "$1" "$2"`;

// Unlinked as soon as it is open: a process killed while the storage hangs leaves no file behind.
const PROBE_DIRECTORY = `exec 4> "$1" && rm -f -- "$1" && dd if=/dev/zero bs=4096 count=1 conv=fsync status=none >&4`;
const PROBE_DEVICE = `exec dd if="$1" of=/dev/null bs=4096 count=1 iflag=direct status=none`;

export function shellFiles(hostName: string, run: Run): Files {
  const fileError = (operation: string, path: string, stderr: string): FileError =>
    new FileError({ code: errnoOf(stderr), host: hostName, operation, path, detail: stderr.trim() });

  /** Runs a tool; null when it says that there is no such file. */
  async function attempt(
    operation: string,
    path: string,
    argv: readonly string[],
    options: FileOptions & { input?: string } = {},
  ): Promise<string | null> {
    if (!path.startsWith('/')) throw new TypeError(`not an absolute path: ${path}`);
    const limits = { timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS, maxOutputBytes: MAX_TEXT_BYTES };
    const result = await run(argv, { ...options, ...limits });
    if (result.code === 0) return result.stdout;
    const error = fileError(operation, path, result.stderr || `exit status ${result.code ?? result.signal}`);
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  }

  async function must(
    operation: string,
    path: string,
    argv: readonly string[],
    options: FileOptions & { input?: string } = {},
  ): Promise<string> {
    const stdout = await attempt(operation, path, argv, options);
    if (stdout === null) throw fileError(operation, path, 'No such file or directory');
    return stdout;
  }

  const script = (text: string, ...args: string[]): string[] => ['/bin/sh', '-c', text, 'sh', ...args];

  return {
    readFile: (path, options) => attempt('read', path, ['cat', '--', path], options),

    async writeFileAtomic(path, text, options = {}) {
      const directory = directoryOf(path);
      const temporary = `${directory}/.blockferry-${randomBytes(8).toString('hex')}.tmp`;
      const count = String(Buffer.byteLength(text));
      const mode = (options.mode ?? 0o600).toString(8);
      const argv = script(WRITE_ATOMIC, path, temporary, count, mode, directory);
      await must('write', path, argv, { ...options, input: text });
    },

    async createExclusive(path, options = {}) {
      const mode = (options.mode ?? 0o600).toString(8);
      await must(
        'create',
        path,
        script('umask 077; set -C; : > "$1" && chmod "$2" -- "$1"', path, mode),
        options,
      );
    },

    async stat(path, options = {}): Promise<FileStat | null> {
      const follow = options.followSymlinks === false ? [] : ['-L'];
      const text = await attempt('stat', path, ['stat', ...follow, '-c', STAT_FORMAT, '--', path], options);
      return text === null ? null : parseFileStat(text);
    },

    async statfs(path, options): Promise<FileSystemStat> {
      const text = await must('statfs', path, ['stat', '-f', '-c', '%a %b %S %T', '--', path], options);
      const [available = '0', total = '0', block = '1', ...type] = text.trim().split(' ');
      const unit = BigInt(block);
      return { available: BigInt(available) * unit, total: BigInt(total) * unit, type: type.join(' ') };
    },

    async blockDeviceSize(path, options) {
      return BigInt((await must('size', path, ['blockdev', '--getsize64', path], options)).trim());
    },

    unlink: async (path, options) =>
      (await attempt('unlink', path, ['unlink', '--', path], options)) !== null,

    async readdir(path, options) {
      const find = ['find', path, '-mindepth', '1', '-maxdepth', '1', '-printf', '%f\\0'];
      return (await must('readdir', path, find, options)).split('\0').slice(0, -1);
    },

    async mkdir(path, options = {}) {
      const mode = ['-m', (options.mode ?? 0o755).toString(8)];
      const argv = ['mkdir', ...(options.parents ? ['-p'] : []), ...mode, '--', path];
      await must('mkdir', path, argv, options);
    },

    async rename(from, to, options) {
      if (!to.startsWith('/')) throw new TypeError(`not an absolute path: ${to}`);
      await must('rename', from, script(RENAME, from, to), options);
    },

    async realpath(path, options) {
      return (await must('realpath', path, ['realpath', '-ez', '--', path], options)).slice(0, -1);
    },

    async chown(path, uid, gid, options) {
      await must('chown', path, ['chown', `${uid}:${gid}`, '--', path], options);
    },

    async chmod(path, mode, options) {
      await must('chmod', path, ['chmod', mode.toString(8), '--', path], options);
    },

    async access(path, how, options = {}) {
      if (!path.startsWith('/')) throw new TypeError(`not an absolute path: ${path}`);
      const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
      return (await run(['test', `-${how}`, path], { ...options, timeoutMs })).code === 0;
    },

    probeStorage: (path, timeoutMs) => probe(path, timeoutMs),
  };

  async function probe(path: string, timeoutMs: number): Promise<StorageProbe> {
    // One process decides and probes, so that the deadline covers both.
    const name = `.blockferry-${randomBytes(8).toString('hex')}.probe`;
    const text = `if [ -b "$1" ]; then ${PROBE_DEVICE}; fi
if [ -d "$1" ]; then d=$1; else d=$(dirname -- "$1"); fi
set -- "$d/${name}"; ${PROBE_DIRECTORY}`;
    if (!path.startsWith('/')) throw new TypeError(`not an absolute path: ${path}`);
    try {
      const result = await run(script(text, path), { timeoutMs });
      return result.code === 0 ? { ok: true } : { ok: false, why: 'error', detail: result.stderr.trim() };
    } catch (error) {
      if (!(error instanceof HostError) || error.code !== 'timeout') throw error;
      return { ok: false, why: 'hang', detail: `${path} did not answer within ${timeoutMs} ms` };
    }
  }
}

/** The directory part of an absolute path, symlinks and `..` left alone. */
export function directoryOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}
