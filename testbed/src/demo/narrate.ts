// How the demo speaks: what it does, the command it stands for, and what came of it.
import { styleText } from 'node:util';

export function say(text: string): void {
  console.log(`\n${styleText('bold', text)}`);
}

/** Shows a command as one would type it. */
export function command(...argv: readonly string[]): void {
  const words = argv.map((word) =>
    /^[\w@%+=:,./&-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`,
  );
  console.log(styleText('cyan', `  $ ${words.join(' ')}`));
}

/** Prints a command's output, indented, and gives it back. */
export function shown(output: string): string {
  for (const line of output.trimEnd().split('\n')) console.log(`    ${line}`);
  return output;
}

export function note(text: string): void {
  console.log(`    ${text}`);
}

/** @throws always: the demo has shown that a promise is broken */
export function fail(what: string): never {
  throw new Error(`the demo failed: ${what}`);
}
