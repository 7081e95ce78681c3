// blockferry ls: a directory inside an image chain, through libguestfs, without disturbing whoever uses it.
import { listInside } from '@blockferry/engine';
import type { Command } from 'commander';
import { ExitCode } from '../exit-code.ts';
import { entriesText, longText } from '../views/human/entries.ts';
import { formatLine } from '../views/json/lines.ts';
import { type InsideFlags, insideArguments, insideCommand, insideRequest } from './inside.ts';
import type { Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry ls web /etc                          the boot disk of web, mounted as its operating system does
  blockferry ls web / --disk vdb -l
  blockferry ls /images/copy.qcow2 /              with the format that the domain using it declares
  blockferry ls old.qcow2 /home --format qcow2 --mount /dev/sda2

Nothing is written, and no lock is taken: a running domain goes on. Of its disk you see what has reached the storage,
which may be torn. Needs libguestfs (guestfish) on the host.
`;

interface LsFlags extends InsideFlags {
  readonly long?: boolean;
}

export const ls: Verb = {
  configure(command: Command, run) {
    insideArguments(command)
      .option('-l, --long', 'with type and mode, owner, size and time')
      .option('--json', 'one JSON object a line on stdout')
      .addHelpText('after', EXAMPLES)
      .action((name: string, path: string, flags: LsFlags) =>
        run((invocation) =>
          insideCommand(invocation, flags.json ?? false, async ({ context, io, options }) => {
            const { json = false, long = false } = flags;
            const request = insideRequest(name, path, flags);
            const entries = await listInside(context, request, json || long, options);
            if (!json) io.out(long ? longText(entries) : entriesText(entries));
            else for (const entry of entries) io.out(formatLine({ type: 'entry', ...entry }));
            return ExitCode.DONE;
          }),
        ),
      );
  },
};
