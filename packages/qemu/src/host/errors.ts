// What can go wrong between us and a host, and between a host and its file system.

export type HostErrorCode =
  | 'not-found'
  | 'timeout'
  | 'unreachable'
  | 'aborted'
  | 'output-too-large'
  | 'closed';

/** A command could not be run to its end on a host. What the command itself reports is not an error of this kind. */
export class HostError extends Error {
  override readonly name = 'HostError';
  readonly code: HostErrorCode;
  readonly host: string;
  /** The command, for people. */
  readonly command: string;
  readonly detail: string;
  readonly hint: string;

  constructor(
    code: HostErrorCode,
    facts: { host: string; command: string; detail: string; hint: string },
    options?: ErrorOptions,
  ) {
    super(`${facts.host}: ${facts.command}: ${facts.detail}`, options);
    this.code = code;
    this.host = facts.host;
    this.command = facts.command;
    this.detail = facts.detail;
    this.hint = facts.hint;
  }
}

const ERRNO_TEXTS = [
  ['No such file or directory', 'ENOENT'],
  ['Not a directory', 'ENOTDIR'],
  ['Is a directory', 'EISDIR'],
  ['File exists', 'EEXIST'],
  ['cannot overwrite existing file', 'EEXIST'], // bash's noclobber
  ['Directory nonexistent', 'ENOENT'],
  ['Permission denied', 'EACCES'],
  ['Operation not permitted', 'EPERM'],
  ['No space left on device', 'ENOSPC'],
  ['Disk quota exceeded', 'EDQUOT'],
  ['Read-only file system', 'EROFS'],
  ['Input/output error', 'EIO'],
  ['Invalid cross-device link', 'EXDEV'],
  ['File name too long', 'ENAMETOOLONG'],
  ['Too many levels of symbolic links', 'ELOOP'],
  ['Stale file handle', 'ESTALE'],
  ['Device or resource busy', 'EBUSY'],
  ['No such device or address', 'ENXIO'],
  ['Inappropriate ioctl for device', 'ENOTTY'],
] as const;

export type FileErrorCode = (typeof ERRNO_TEXTS)[number][1] | 'other';

/** Finds the errno behind a message of coreutils in the C locale. */
export function errnoOf(message: string): FileErrorCode {
  return ERRNO_TEXTS.find(([text]) => message.includes(text))?.[1] ?? 'other';
}

/** The same failure under another name for the command, for scripts that nobody wants to read. */
export function renameCommand(error: HostError, command: string): HostError {
  const { host, detail, hint, cause } = error;
  return new HostError(error.code, { host, command, detail, hint }, { cause });
}

/** A host's file system refused an operation. */
export class FileError extends Error {
  override readonly name = 'FileError';
  readonly code: FileErrorCode;
  readonly host: string;
  readonly operation: string;
  readonly path: string;

  constructor(facts: { code: FileErrorCode; host: string; operation: string; path: string; detail: string }) {
    super(`${facts.host}: ${facts.operation} ${facts.path}: ${facts.detail}`);
    this.code = facts.code;
    this.host = facts.host;
    this.operation = facts.operation;
    this.path = facts.path;
  }
}
