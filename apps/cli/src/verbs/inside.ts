// What `ls` and `cat` share: their arguments, the warning of a torn view, Ctrl-C, and every error in words.
import type { Context, InsideOptions, InsideRequest, Subject } from '@blockferry/engine';
import type { Command } from 'commander';
import type { ExitCode } from '../exit-code.ts';
import { explain } from '../outcome/explain.ts';
import { openSession } from '../session.ts';
import { interruptible } from '../terminal/interrupt.ts';
import type { Io } from '../terminal/io.ts';
import { addressedIo } from '../views/addressed.ts';
import { formatLine } from '../views/json/lines.ts';
import { endOfLook } from './commands.ts';
import type { Invocation } from './verb.ts';

export interface InsideFlags {
  readonly disk?: string;
  readonly format?: string;
  readonly mount?: string;
  readonly json?: boolean;
}

export function insideArguments(command: Command): Command {
  return command
    .argument('<subject>', 'a domain, or an image (path, pool:NAME/VOLUME or URI)')
    .argument('<path>', 'absolute, inside of it')
    .usage('DOMAIN|IMAGE PATH [options]')
    .option(
      '--disk <disk>',
      "the domain's disk: target (vda), or the path of its image (default: its boot disk)",
    )
    .option('--format <format>', "the image's format, where no domain that uses it tells")
    .option(
      '--mount <device>',
      'the file system to look at, as libguestfs names it (/dev/sda1, /dev/vg/root)',
    );
}

export interface InsideTools {
  readonly context: Context;
  /** For the answer, which is not ours to change. */
  readonly io: Io;
  readonly options: InsideOptions;
}

/** @param work gives its exit code; in JSON a result follows as the last line */
export async function insideCommand(
  { io: plain, uri }: Invocation,
  json: boolean,
  work: (tools: InsideTools) => Promise<ExitCode>,
): Promise<ExitCode> {
  const io = json ? plain : addressedIo(plain, uri);
  const end = endOfLook(io, json, uri);
  return interruptible(
    async (signal) => {
      try {
        await using session = openSession(uri);
        const onSubject = (subject: Pick<Subject, 'words' | 'writer'>) => warn(io, json, subject);
        return end(
          'done',
          await work({ context: session.context, io: plain, options: { signal, onSubject } }),
        );
      } catch (error) {
        const { outcome, exitCode, error: words } = explain(signal.aborted ? signal.reason : error);
        return end(outcome, exitCode, words);
      }
    },
    () => {},
  );
}

function warn(io: Io, json: boolean, { words, writer }: Pick<Subject, 'words' | 'writer'>): void {
  if (writer !== undefined) {
    const message = `${writer} runs and writes to ${words}: this is what its storage has at this moment, and it may be torn`;
    if (json) io.out(formatLine({ type: 'warning', code: 'torn-view', message }));
    else io.err(`warning: ${message}\n`);
  }
  if (!json && io.errIsTerminal) io.err('opening it with libguestfs takes some seconds …\n');
}

export function insideRequest(
  name: string,
  path: string,
  { disk, format, mount }: InsideFlags,
): InsideRequest {
  return {
    name,
    path,
    ...(disk !== undefined && { disk }),
    ...(format !== undefined && { format }),
    ...(mount !== undefined && { mount }),
  };
}
