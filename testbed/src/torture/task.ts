// What a round of torture has blockferry do, as far as the round needs to know.
import type { Ferry } from '../crash/ferry.ts';

export interface Task {
  begin(): Ferry;
  /** What is typed after a crash. @param answer to a question */
  goOn(answer: readonly string[]): Ferry;
  /** Takes away what made it slow. */
  hurry?(): Promise<void>;
  /** The outcome of a run that has done it. */
  readonly done: string;
  /** Whether it was done, where no run was left to say so. `disk`: the image that the domain is defined on. */
  isDone(disk: string): Promise<boolean>;
  /** @throws AssertionError for anything that is not as it must be */
  expectDone(what: string, running: boolean, disk: string): Promise<void>;
  expectUndone(what: string, running: boolean): Promise<void>;
}
