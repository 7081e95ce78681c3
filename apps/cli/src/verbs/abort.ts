// blockferry abort: back to the source, the unfinished copy removed; or, with --keep, stop and keep a complete copy. Of a
// backup: nothing of it is left.
import type { Command } from 'commander';
import type { ExitCode } from '../exit-code.ts';
import { moveCommand } from './commands.ts';
import { unlessMigrating } from './migration/open.ts';
import { backupToUndo, undoOpenBackup } from './open-backup.ts';
import { changeGoals, openMovesOf } from './open-move.ts';
import { runOpen } from './run-open.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry abort web vda            undo: the guest stays on the source, the copy is removed
  blockferry abort web vda --keep     only when ready: the copy stays, as the disk was at this moment
  blockferry abort web                undo a migration or a backup that is under way: the domain stays at home and as it was
`;

interface AbortOptions {
  readonly keep?: boolean;
  readonly peer?: string;
  readonly json?: boolean;
}

export const abort: Verb = {
  configure(command: Command, run) {
    command
      .argument('<domain>', 'name, UUID or id')
      .argument('[disk]', 'target (vda); needed if several disks are being moved, but not as one')
      .usage('DOMAIN [DISK] [options]')
      .option('--keep', 'keep the copy (needs a move that is ready, see move --hold)')
      .option('--peer <uri>', 'the other host of a migration, if it is reached otherwise from here')
      .option('--json', 'one JSON object a line on stdout')
      .addHelpText('after', EXAMPLES)
      .action((domain: string, disk: string | undefined, options: AbortOptions) =>
        run((invocation) => runAbort(invocation, domain, disk, options)),
      );
  },
};

function runAbort(
  invocation: Invocation,
  domain: string,
  disk: string | undefined,
  { keep = false, json = false, peer }: AbortOptions,
): Promise<ExitCode> {
  if (!keep) return abortAll(invocation, { domain, disk, json, peer });
  return abortMoves(invocation, domain, disk, keep, json);
}

/** A migration is undone as a whole, whichever of its disks is named; what moves belong to it go back with it. */
function abortAll(
  invocation: Invocation,
  {
    domain,
    disk,
    json,
    peer,
  }: {
    readonly domain: string;
    readonly disk: string | undefined;
    readonly json: boolean;
    readonly peer: string | undefined;
  },
): Promise<ExitCode> {
  return unlessMigrating(invocation, { domain, json, asked: 'home', peer }, () =>
    abortMoves(invocation, domain, disk, false, json),
  );
}

function abortMoves(
  invocation: Invocation,
  domain: string,
  disk: string | undefined,
  keep: boolean,
  json: boolean,
): Promise<ExitCode> {
  const { afterStep } = invocation;
  const names = { json, domain, ...(disk !== undefined && { disk }) };
  return moveCommand(invocation, names, async (tools) => {
    const { session, context, view, signal, unlessStopped, end } = tools;
    const backup = await unlessStopped(backupToUndo(context, domain, { disk, keep }));
    if (backup !== undefined) return undoOpenBackup(tools, backup, json, invocation);
    const open = await unlessStopped(openMovesOf(context, domain, disk));
    const changed = await changeGoals(context, open, { goal: keep ? 'keep' : 'abort' });
    const asked = keep ? 'move' : 'abort';
    return end(
      await runOpen(session, changed, view, { asked, recorded: true, waits: true, signal, afterStep }),
    );
  });
}
