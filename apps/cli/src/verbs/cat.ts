// blockferry cat: a file inside an image chain, byte for byte, without disturbing whoever uses it.
import { readInside } from '@blockferry/engine';
import type { Command } from 'commander';
import { ExitCode } from '../exit-code.ts';
import { type InsideFlags, insideArguments, insideCommand, insideRequest } from './inside.ts';
import type { Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry cat web /etc/fstab
  blockferry cat web /data/orders.db --disk vdb --mount /dev/sda1 > orders.db
  blockferry cat /images/copy.qcow2 /etc/hostname

The bytes go to stdout as they are. As with ls, nothing is written and no lock is taken.
`;

/** Whoever read our answer has had enough of it. */
class ReaderGone extends Error {}

export const cat: Verb = {
  configure(command: Command, run) {
    insideArguments(command)
      .addHelpText('after', EXAMPLES)
      .action((name: string, path: string, flags: InsideFlags) =>
        run((invocation) =>
          insideCommand(invocation, false, async ({ context, io, options }) => {
            const write = async (chunk: Buffer) => {
              if (!(await io.outBytes(chunk))) throw new ReaderGone();
            };
            try {
              await readInside(context, insideRequest(name, path, flags), write, options);
            } catch (error) {
              if (!(error instanceof ReaderGone)) throw error;
            }
            return ExitCode.DONE;
          }),
        ),
      );
  },
};
