// What a verb is: its place in the help, and what runs when it is named.
import type { Command } from 'commander';
import type { ExitCode } from '../exit-code.ts';
import type { Io } from '../terminal/io.ts';

/** What every verb is given. */
export interface Invocation {
  readonly io: Io;
  /** The connection URI given with -c. */
  readonly uri: string | undefined;
  /** Tests stop the process there. */
  readonly afterStep: ((step: string) => void) | undefined;
}

/** Hands the exit code of what it runs to the program. */
export type Run = (work: (invocation: Invocation) => Promise<ExitCode>) => Promise<void>;

export interface Verb {
  /** Adds arguments, options and examples to the verb's command, and its action. */
  readonly configure: (command: Command, run: Run) => void;
}
