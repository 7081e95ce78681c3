// How a migration's step can fail. The record stands, so `resume` and `abort` go on from the same place.
import type { MigrationInterruption, MigrationQuestion, MigrationStep } from './world.ts';

export class StepImpossible extends Error {
  override readonly name = 'StepImpossible';
  readonly step: MigrationStep['name'];

  constructor(step: MigrationStep['name'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.step = step;
  }
}

/** Another blockferry has changed the record since it was looked at: look again. */
export class Overtaken extends Error {
  override readonly name = 'Overtaken';
}

/** A commit of one disk's overlay has come to where only a person, or a later run, can go on. */
export class CommitHeld extends Error {
  override readonly name = 'CommitHeld';
  readonly disk: string;
  /** Which side is right is asked of a person: `resume DOMAIN --use …` answers it. */
  readonly asks: boolean;

  readonly why: string;

  constructor(disk: string, why: string, asks: boolean) {
    super(`${disk}: ${why}`);
    this.disk = disk;
    this.why = why;
    this.asks = asks;
  }
}

export type { MigrationInterruption, MigrationQuestion };
