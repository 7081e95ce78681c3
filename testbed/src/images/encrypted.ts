// qemu-img for images in LUKS. It measures how fast keys are derived here, and gives up when others take its time.
import { RunError, type RunResult, run } from '../process/run.ts';

const TOO_BUSY = /Unable to get accurate CPU usage/;
const MOST_TRIES = 20;

/** Runs `qemu-img` with these arguments, and again if the machine was too busy for it. @throws {RunError} */
export async function makeEncrypted(...argv: readonly string[]): Promise<RunResult> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await run(['qemu-img', ...argv]);
    } catch (error) {
      const again = error instanceof RunError && TOO_BUSY.test(error.stderr) && tries < MOST_TRIES;
      if (!again) throw error;
    }
  }
}
