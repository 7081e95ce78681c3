// Follows a growing text file line by line, from where the last look ended.
import { open } from 'node:fs/promises';

export class LogFile {
  readonly path: string;
  #offset = 0;
  #rest = '';

  constructor(path: string) {
    this.path = path;
  }

  /** The whole lines that were added since the last call; none while the file does not exist. */
  async newLines(): Promise<string[]> {
    const file = await open(this.path).catch(() => undefined);
    if (file === undefined) return [];
    try {
      const { size } = await file.stat();
      const buffer = Buffer.alloc(Math.max(0, size - this.#offset));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, this.#offset);
      this.#offset += bytesRead;
      const lines = (this.#rest + buffer.toString('latin1', 0, bytesRead)).split('\n');
      this.#rest = lines.pop() ?? '';
      return lines.map((text) => text.replace(/\r$/, ''));
    } finally {
      await file.close();
    }
  }
}
