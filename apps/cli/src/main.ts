#!/usr/bin/env node
// The entry of the command line: sets up the compile cache, then hands over. Everything else is loaded after it.
import { realpathSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { MainOptions } from './program.ts';

/**
 * Runs one command line.
 *
 * @param argv the arguments, without node and script
 * @returns the exit code, as documented in docs/exit-codes.md; never throws
 */
export async function main(argv: readonly string[], options: MainOptions = {}): Promise<number> {
  const { runProgram } = await import('./program.ts');
  return runProgram(argv, options);
}

/** A user without $HOME whom the machine does not know is at home in `/`, as glib has it for libvirt's own client. */
export function settleHome(): void {
  try {
    homedir();
  } catch {
    process.env.HOME = '/';
  }
}

function isEntry(): boolean {
  const script = process.argv[1];
  return script !== undefined && realpathSync(script) === import.meta.filename;
}

if (isEntry()) {
  settleHome();
  // Not in /tmp, where Node keeps it by default: another user could put code there for us to run.
  enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'blockferry'));
  // All is closed by now, or ends with us: nothing that lingers may hold up the shell, but whoever reads what we say.
  const exitCode = await main(process.argv.slice(2));
  const { allWritten } = await import('./terminal/io.ts');
  await allWritten();
  // That something could not be written is told in an event of its own.
  setImmediate(() => process.exit(exitCode));
}
