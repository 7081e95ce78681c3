// What ferry.ts tells a blockferry process and what it hears from it: one order as JSON, then lines of JSON.
import type { Ended, MoveRequest, Report } from '@blockferry/engine';

/** The point at which the process stops where it stands. Names are counted: the second `record` is `record#2`. */
export type Halt = {
  readonly at: 'before-step' | 'after-step' | 'after-effect';
  readonly name: string;
  /** Default SIGKILL. */
  readonly signal?: 'SIGKILL' | 'SIGSTOP';
};

export type FerryVerb =
  | { readonly verb: 'move'; readonly request: MoveRequest }
  | { readonly verb: 'resume'; readonly domain: string; readonly use?: 'source' | 'destination' }
  | { readonly verb: 'abort'; readonly domain: string; readonly keep?: boolean }
  | { readonly verb: 'pivot'; readonly domain: string };

export type FerryOrder = FerryVerb & {
  readonly uri: string;
  readonly stateDirectory: string;
  readonly halt?: Halt;
};

export type FerryEnding =
  | Ended['ending']
  | { readonly kind: 'error'; readonly code: string; readonly message: string };

export type FerryEnd = {
  readonly type: 'end';
  readonly ending: FerryEnding;
  readonly cutoverMs: number | undefined;
};

export type FerryReport =
  | Exclude<Report, { type: 'step' }>
  /** A step begins; `done`: it was carried out. */
  | { readonly type: 'step'; readonly step: string }
  | { readonly type: 'done'; readonly step: string }
  /** Something on the host or in libvirt was changed. */
  | { readonly type: 'effect'; readonly effect: string }
  | FerryEnd;
