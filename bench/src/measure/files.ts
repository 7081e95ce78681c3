// A directory's files as they were, to remove what a move leaves beside them.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

export class Files {
  readonly #directory: string;
  readonly #names: ReadonlySet<string>;

  private constructor(directory: string, names: ReadonlySet<string>) {
    this.#directory = directory;
    this.#names = names;
  }

  static async in(directory: string): Promise<Files> {
    return new Files(directory, new Set(await readdir(directory)));
  }

  /** Overlays of a freeze, journals: whatever was not there at first. */
  async removeOthers(): Promise<void> {
    for (const name of await readdir(this.#directory))
      if (!this.#names.has(name)) await rm(join(this.#directory, name), { recursive: true, force: true });
  }
}
