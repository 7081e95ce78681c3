// The program as commander sees it: global options, the verbs, and usage errors with exit code 2.
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { ExitCode } from './exit-code.ts';
import { type Io, processIo } from './terminal/io.ts';
import type { Run } from './verbs/verb.ts';
import { VERBS } from './verbs/verbs.ts';
import { formatLine } from './views/json/lines.ts';

export interface MainOptions {
  /** Called after each step of a move has been carried out, with its name: tests stop the process there. */
  readonly afterStep?: (step: string) => void;
  /** Default: this process's streams. */
  readonly io?: Io;
}

export async function runProgram(argv: readonly string[], options: MainOptions): Promise<number> {
  const io = options.io ?? processIo();
  let exitCode: number = ExitCode.DONE;
  const program = createProgram(io);
  const run: Run = async (work) => {
    const { connect } = program.opts<{ connect?: string }>();
    exitCode = await work({ io, uri: connect, afterStep: options.afterStep });
  };
  program.hook('preSubcommand', async (_, command) => {
    const entry = VERBS.find(({ name }) => name === command.name());
    (await entry?.load())?.configure(command, run);
  });
  try {
    await program.parseAsync(withoutHelpVerb(argv), { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) return mistake(error, io);
    return error.exitCode === 0 ? ExitCode.DONE : usageFailed(error, argv, io);
  }
}

function createProgram(io: Io): Command {
  const program = new Command('blockferry')
    .description('Moves the disks of running libvirt/QEMU domains: live, verified, resumable.')
    .usage('[-c URI] VERB …')
    .option('-c, --connect <uri>', "connection URI (default: libvirt's own, such as LIBVIRT_DEFAULT_URI)")
    .version(version(), '-V, --version')
    .helpOption('-h, --help', 'show this, or the help of a verb')
    .helpCommand(false)
    .exitOverride()
    .showHelpAfterError('blockferry VERB --help shows the arguments and options of a verb, and examples')
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .addHelpText('after', '\nblockferry VERB --help shows the options of a verb and examples.\n');
  for (const { name, summary } of VERBS) program.command(name).description(summary);
  return program;
}

/** `help VERB` is `VERB --help`. */
function withoutHelpVerb(argv: readonly string[]): string[] {
  const [first, ...rest] = argv;
  if (first === undefined) return ['--help'];
  return first === 'help' ? [...rest, '--help'] : [...argv];
}

/** The words are on stderr already. Whoever reads JSON gets a last line all the same. */
function usageFailed(error: CommanderError, argv: readonly string[], io: Io): ExitCode {
  if (argv.includes('--json')) {
    const message = error.message.replace(/^error: /, '');
    const exitCode = ExitCode.USAGE;
    io.out(
      formatLine({
        type: 'result',
        outcome: 'refused',
        exitCode,
        error: { code: 'usage', message, hint: null },
      }),
    );
  }
  return ExitCode.USAGE;
}

/** Commands put every error into words: what comes here is a mistake of ours. */
function mistake(error: unknown, io: Io): ExitCode {
  io.err(`${error instanceof Error ? error.stack : String(error)}\n`);
  return ExitCode.FAILED;
}

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const parsed: unknown = JSON.parse(text);
  const found =
    typeof parsed === 'object' && parsed !== null && 'version' in parsed ? parsed.version : undefined;
  return typeof found === 'string' ? found : 'unknown';
}
