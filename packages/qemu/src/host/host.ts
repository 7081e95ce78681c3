// What the rest of the project sees of a machine: running its programs and handling its files, here or over ssh.
import type { Duplex, Readable, Writable } from 'node:stream';

/** How a program ended. Exit statuses 129-192 are reported as the signal that the shell says they stand for. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunResult extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Bytes for the program's standard input, which is empty otherwise. */
  readonly input?: string | Buffer;
  /** Default 30 s. Pass Infinity only together with a signal. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Most bytes accepted on stdout (default 16 MiB); more ends the program with HostError 'output-too-large'. */
  readonly maxOutputBytes?: number;
  /** Called with stdout as it comes, in pieces of any length. */
  readonly onStdout?: (text: string) => void;
}

export interface SpawnOptions {
  readonly signal?: AbortSignal;
}

/** A program that runs until it ends by itself, its stdin is ended, or the process that started it dies. */
export interface HostProcess {
  /** Ending it also ends the program: SIGTERM, and SIGKILL 5 s later. */
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Both of them as one stream, for protocols. */
  readonly duplex: Duplex;
  /** The last 64 KiB it wrote to standard error so far. */
  stderr(): string;
  /** How it ended. Rejects with HostError when that cannot be known ('not-found', 'unreachable'). */
  readonly exited: Promise<Exit>;
  /** SIGKILLs it; over ssh it gets SIGTERM, and SIGKILL 5 s later. Does not wait. */
  kill(): void;
}

export type FileType = 'file' | 'directory' | 'block' | 'character' | 'fifo' | 'socket' | 'symlink';

export interface FileStat {
  readonly type: FileType;
  /** Length in bytes (0 for devices: see blockDeviceSize). */
  readonly size: bigint;
  /** Bytes that the file system has allocated to it. */
  readonly allocated: bigint;
  readonly mtimeNs: bigint;
  readonly inode: bigint;
  readonly device: bigint;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits, 0o7777. */
  readonly mode: number;
  /** Which device a device node stands for. */
  readonly rdev: { readonly major: number; readonly minor: number };
}

export interface FileSystemStat {
  /** Bytes that an unprivileged process may still write. */
  readonly available: bigint;
  readonly total: bigint;
  /** As `stat -f` names it: 'ext2/ext3', 'xfs', 'nfs', 'tmpfs'… */
  readonly type: string;
}

export interface FileOptions {
  /** Default 10 s; then HostError 'timeout'. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export type StorageProbe =
  | { readonly ok: true }
  | { readonly ok: false; readonly why: 'hang' | 'error'; readonly detail: string };

/** A unix socket that leads to another one, until it is disposed of or the connection to its host is lost. */
export interface Forward extends AsyncDisposable {
  readonly socket: string;
}

/**
 * A machine. Paths are absolute. Every operation has a deadline and runs in a process of its own, so that
 * storage that hangs holds up neither our event loop nor our exit. Operations throw HostError when the host could
 * not do as told at all, FileError when the file system refused. None retries by itself.
 */
export interface Host {
  /** 'localhost' or 'user@host'. */
  readonly name: string;
  readonly isLocal: boolean;
  /** Runs a program to its end; a non-zero exit is data. The program dies with us, together with its process group. */
  run(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Starts a program that dies with us. */
  spawn(argv: readonly string[], options?: SpawnOptions): Promise<HostProcess>;
  /** The text of a file; null if there is none. */
  readFile(path: string, options?: FileOptions): Promise<string | null>;
  /**
   * Temporary file, fsync, rename, fsync of the directory: after a crash it is the old or the new, whole. After
   * 'timeout' or 'unreachable' it is one of the two as well, and may still become the new one: read it again.
   */
  writeFileAtomic(path: string, text: string, options?: FileOptions & { mode?: number }): Promise<void>;
  /** Makes an empty file; FileError EEXIST if there is anything of that name. */
  createExclusive(path: string, options?: FileOptions & { mode?: number }): Promise<void>;
  /** Null if there is nothing of that name. Follows symlinks unless told not to. */
  stat(path: string, options?: FileOptions & { followSymlinks?: boolean }): Promise<FileStat | null>;
  statfs(path: string, options?: FileOptions): Promise<FileSystemStat>;
  /** Bytes. */
  blockDeviceSize(path: string, options?: FileOptions): Promise<bigint>;
  /** False if there was nothing to remove. */
  unlink(path: string, options?: FileOptions): Promise<boolean>;
  readdir(path: string, options?: FileOptions): Promise<string[]>;
  mkdir(path: string, options?: FileOptions & { parents?: boolean; mode?: number }): Promise<void>;
  /** Removes an empty directory; false if there was none. */
  rmdir(path: string, options?: FileOptions): Promise<boolean>;
  /** Replaces what is at `to`. Both on one file system, else FileError EXDEV. */
  rename(from: string, to: string, options?: FileOptions): Promise<void>;
  /** Symlinks resolved; FileError ENOENT if it does not exist. */
  realpath(path: string, options?: FileOptions): Promise<string>;
  chown(path: string, uid: number, gid: number, options?: FileOptions): Promise<void>;
  chmod(path: string, mode: number, options?: FileOptions): Promise<void>;
  /** May we read or write it? */
  access(path: string, how: 'r' | 'w', options?: FileOptions): Promise<boolean>;
  /**
   * Does the storage behind a path still answer? Writes and fsyncs a small file in its directory (it is unlinked
   * before it is written), or reads a block of a block device past the page cache. Never throws for the storage's sake.
   */
  probeStorage(path: string, timeoutMs: number): Promise<StorageProbe>;
  /** A unix socket on the machine we run on that leads to `socket` on this one: itself, if they are the same machine. */
  bring(socket: string): Promise<Forward>;
  /**
   * A unix socket on this machine that leads to `socket` on the machine we run on. It is made at `path`, where nothing may
   * be; on the machine we run on it is `socket` itself. Over ssh its sshd must allow AllowStreamLocalForwarding.
   */
  expose(socket: string, path: string): Promise<Forward>;
  /** Ends everything that was started on it, and the connection. */
  close(): Promise<void>;
}
