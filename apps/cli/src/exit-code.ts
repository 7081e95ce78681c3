// What the command's exit status says; documented in docs/exit-codes.md.

export const ExitCode = {
  /** Done: moved, kept, ready and held, or undone because an abort was asked for. */
  DONE: 0,
  /** Failed; the guest is on the source and there is nothing to continue. */
  FAILED: 1,
  /** The command line itself is wrong. */
  USAGE: 2,
  /** Refused before anything was touched. */
  REFUSED: 3,
  /** Interrupted or crashed: `resume` goes on, `abort` undoes. */
  RESUMABLE: 4,
  /** Only a person can decide how it goes on. */
  NEEDS_PERSON: 5,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
