// Looking at several files that are asked for at one moment takes one command: most of what a running move asks a host is
// how its files stand, and a command costs more than all of them.
import { setImmediate as soon } from 'node:timers/promises';
import type { RunOptions, RunResult } from './host.ts';

/** So long all may take together. Then each is asked for alone: a file whose storage hangs holds up no other for longer. */
const TOGETHER_MS = 500;
/** Far below what a kernel takes as one command. */
const MOST_PATHS = 256;

type Run = (argv: readonly string[], options: RunOptions) => Promise<RunResult>;

/** What a look of `stat` alone would have answered, by path; undefined if they could not be asked together. */
type Answers = ReadonlyMap<string, RunResult> | undefined;

export class Looks {
  readonly #run: Run;
  readonly #asked = new Map<string, { readonly paths: Set<string>; readonly answers: Promise<Answers> }>();

  constructor(run: Run) {
    this.#run = run;
  }

  /**
   * What `stat OPTIONS -c FORMAT -- PATH` answers, together with all that are asked for in the same turn of the event loop.
   * Undefined if there is no other, or no answer for all of them within half a second: ask alone then. Never throws.
   */
  async ask(path: string, options: readonly string[], format: string): Promise<RunResult | undefined> {
    const kind = [...options, format].join(' ');
    const open = this.#asked.get(kind);
    if (open !== undefined && open.paths.size < MOST_PATHS) {
      open.paths.add(path);
      return (await open.answers)?.get(path);
    }
    const paths = new Set([path]);
    const answers = soon().then(() => {
      if (this.#asked.get(kind)?.paths === paths) this.#asked.delete(kind);
      return this.#together([...paths], options, format);
    });
    this.#asked.set(kind, { paths, answers });
    return (await answers)?.get(path);
  }

  async #together(paths: readonly string[], options: readonly string[], format: string): Promise<Answers> {
    if (paths.length === 1) return undefined;
    const argv = ['stat', ...options, '--printf', `${format}\\n%n\\0`, '--', ...paths];
    const result = await this.#run(argv, { timeoutMs: TOGETHER_MS }).catch(() => undefined);
    return result && answersOf(paths, result);
  }
}

/**
 * Each path's share of what one `stat` said of all. Where nothing was printed of a path, there is a line on stderr, in the order of the paths:
 * coreutils quotes a name in it so that it is one line. Undefined if that does not come out even. Pure.
 */
export function answersOf(paths: readonly string[], { stdout, stderr }: RunResult): Answers {
  const answers = new Map<string, RunResult>();
  for (const said of stdout.split('\0').slice(0, -1)) {
    const end = said.indexOf('\n') + 1;
    answers.set(said.slice(end), { code: 0, signal: null, stdout: said.slice(0, end), stderr: '' });
  }
  const missing = paths.filter((path) => !answers.has(path));
  const lines = stderr.split('\n').filter((line) => line !== '');
  if (lines.length !== missing.length || answers.size + missing.length !== paths.length) return undefined;
  missing.forEach((path, at) => {
    answers.set(path, { code: 1, signal: null, stdout: '', stderr: lines[at] ?? '' });
  });
  return answers;
}
