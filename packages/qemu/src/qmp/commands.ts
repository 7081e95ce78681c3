// The commands and events we use, with their types (qapi/job.json, block-core.json, block-export.json of QEMU).
// Arguments take numbers or bigints; what comes back has every integer as bigint.
import type { JsonInput, JsonObject } from '../json/exact-json.ts';
import type { QmpEvent } from './messages.ts';

type Int = number | bigint;
type Nothing = { readonly arguments: undefined; readonly returns: JsonObject };
type Takes<A> = { readonly arguments: A; readonly returns: JsonObject };
type Gives<R> = { readonly arguments: undefined; readonly returns: R };
type OnJob = Takes<{ readonly id: string }>;

export type JobStatus =
  | 'undefined'
  | 'created'
  | 'running'
  | 'paused'
  | 'ready'
  | 'standby'
  | 'waiting'
  | 'pending'
  | 'aborting'
  | 'concluded'
  | 'null';

export interface JobInfo {
  readonly id: string;
  readonly type: string;
  readonly status: JobStatus;
  /** In a unit of the job's choosing, bytes for block jobs; they only make sense against each other. */
  readonly 'current-progress': bigint;
  readonly 'total-progress': bigint;
  /** Set once it has failed. Cancelled jobs say 'Operation canceled'. */
  readonly error?: string;
}

export interface BlockJobInfo {
  readonly device: string;
  readonly type: string;
  /** Bytes. */
  readonly len: bigint;
  readonly offset: bigint;
  /** Bytes a second, 0 for unlimited. */
  readonly speed: bigint;
  readonly busy: boolean;
  readonly paused: boolean;
  readonly ready: boolean;
  readonly status: JobStatus;
  readonly 'io-status': 'ok' | 'failed' | 'nospace';
  readonly error?: string;
}

type OnError = 'report' | 'ignore' | 'enospc' | 'stop' | 'auto';

/** A node to add: a tree of toBlockdev with a name for its root. */
export type NodeOptions = {
  readonly 'node-name': string;
  readonly driver: string;
  readonly [option: string]: JsonInput | undefined;
};

export interface BackupArguments {
  readonly 'job-id': string;
  readonly device: string;
  readonly target: string;
  readonly sync: 'top' | 'full' | 'none' | 'incremental' | 'bitmap';
  /** Bytes a second. */
  readonly speed?: Int;
  readonly compress?: boolean;
  readonly 'on-source-error'?: OnError;
  readonly 'on-target-error'?: OnError;
  readonly 'auto-finalize'?: boolean;
  readonly 'auto-dismiss'?: boolean;
  readonly 'x-perf'?: {
    readonly 'use-copy-range'?: boolean;
    readonly 'max-workers'?: Int;
    /** Bytes. */
    readonly 'max-chunk'?: Int;
  };
  readonly [more: string]: JsonInput | undefined;
}

/** SocketAddressLegacy: the one place where QEMU still wants its address wrapped in `data`. */
export type ListenAddress =
  | { readonly type: 'unix'; readonly data: { readonly path: string } }
  | { readonly type: 'inet'; readonly data: { readonly host: string; readonly port: string } };

export interface NbdExportOptions {
  readonly type: 'nbd';
  readonly id: string;
  readonly 'node-name': string;
  readonly name?: string;
  readonly writable?: boolean;
  readonly bitmaps?: readonly string[];
  readonly [more: string]: JsonInput | undefined;
}

/** Every command with its arguments and its answer. */
export interface QmpCommands {
  readonly qmp_capabilities: Nothing;
  readonly quit: Nothing;
  readonly 'query-commands': Gives<readonly { readonly name: string }[]>;
  readonly 'object-add': Takes<{
    readonly 'qom-type': string;
    readonly id: string;
    readonly [more: string]: JsonInput | undefined;
  }>;
  readonly 'object-del': OnJob;
  readonly 'blockdev-add': Takes<NodeOptions>;
  readonly 'blockdev-del': Takes<{ readonly 'node-name': string }>;
  readonly 'blockdev-create': Takes<{ readonly 'job-id': string; readonly options: JsonInput }>;
  /** Flushes what it opens anew, and fails if that fails. Children are named, not nested. */
  readonly 'blockdev-reopen': Takes<{ readonly options: readonly NodeOptions[] }>;
  readonly 'blockdev-backup': Takes<BackupArguments>;
  readonly 'query-named-block-nodes': {
    readonly arguments: { readonly flat?: boolean } | undefined;
    readonly returns: readonly JsonObject[];
  };
  readonly 'query-jobs': Gives<readonly JobInfo[]>;
  readonly 'job-pause': OnJob;
  readonly 'job-resume': OnJob;
  readonly 'job-cancel': OnJob;
  readonly 'job-complete': OnJob;
  readonly 'job-finalize': OnJob;
  readonly 'job-dismiss': OnJob;
  readonly 'query-block-jobs': Gives<readonly BlockJobInfo[]>;
  readonly 'block-job-set-speed': Takes<{ readonly device: string; readonly speed: Int }>;
  readonly 'block-job-pause': Takes<{ readonly device: string }>;
  /** Goes on after a pause by the user or by an I/O error. */
  readonly 'block-job-resume': Takes<{ readonly device: string }>;
  readonly 'nbd-server-start': Takes<{
    readonly addr: ListenAddress;
    readonly 'tls-creds'?: string;
    readonly 'max-connections'?: Int;
  }>;
  readonly 'nbd-server-stop': Nothing;
  readonly 'block-export-add': Takes<NbdExportOptions>;
  readonly 'block-export-del': Takes<{ readonly id: string; readonly mode?: 'safe' | 'hard' }>;
  readonly 'query-block-exports': Gives<readonly JsonObject[]>;
}

/** The `data` of the events we look at. */
export interface QmpEventData {
  readonly JOB_STATUS_CHANGE: { readonly id: string; readonly status: JobStatus };
  readonly BLOCK_JOB_COMPLETED: {
    readonly device: string;
    readonly type: string;
    readonly len: bigint;
    readonly offset: bigint;
    readonly speed: bigint;
    readonly error?: string;
  };
  readonly BLOCK_JOB_ERROR: {
    readonly device: string;
    readonly operation: 'read' | 'write';
    readonly action: 'ignore' | 'report' | 'stop';
  };
  readonly BLOCK_EXPORT_DELETED: { readonly id: string };
}

/** Narrows an event by its name. */
export function isQmpEvent<N extends keyof QmpEventData>(
  event: QmpEvent,
  name: N,
): event is QmpEvent & { readonly event: N; readonly data: JsonObject & QmpEventData[N] } {
  return event.event === name;
}
