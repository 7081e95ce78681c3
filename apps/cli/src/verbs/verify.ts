// blockferry verify: do two chains show a guest the same? Touches neither.
import { type ChainName, verifyChains } from '@blockferry/engine';
import type { Command } from 'commander';
import { UsageError } from '../arguments/usage-error.ts';
import { ExitCode } from '../exit-code.ts';
import { explain } from '../outcome/explain.ts';
import { bareResult } from '../outcome/result.ts';
import { openSession } from '../session.ts';
import { interruptible, orInterrupted } from '../terminal/interrupt.ts';
import { createVerifyView } from '../views/create-verify-view.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry verify web vda /backup/web.qcow2 --dest-format qcow2
      web is off: its whole chain; web runs: what is frozen below its active image
  blockferry verify /images/snap1.qcow2 /fast/snap1.qcow2
      with the formats that the domains using them declare
  blockferry verify old.qcow2 nbd://10.0.0.2/vol --format qcow2 --dest-format raw

What a guest would read is compared, whatever the formats and the number of images; where one is longer,
the rest of it has to be zeros. Exit status: 0 same, 1 different (the offset is told, and which image of
each chain holds it), 3 if the chains cannot be compared.
`;

interface VerifyOptions {
  readonly format?: string;
  readonly destFormat?: string;
  readonly json?: boolean;
}

export const verify: Verb = {
  configure(command: Command, run) {
    command
      .argument('<a>', 'an image (path, pool:NAME/VOLUME or URI), or a domain')
      .argument('<b>', 'the image to compare with; or the disk of that domain')
      .argument('[image]', 'the image to compare the disk with')
      .usage('A B | DOMAIN DISK B [options]')
      .option('--format <format>', "A's format, where no domain that uses it tells")
      .option('--dest-format <format>', "B's format, where no domain that uses it tells")
      .option('--json', 'one JSON object a line on stdout')
      .addHelpText('after', EXAMPLES)
      .action((a: string, b: string, image: string | undefined, options: VerifyOptions) =>
        run((invocation) => runVerify(invocation, [a, b, image], options)),
      );
  },
};

type Names = readonly [string, string, string | undefined];

async function runVerify({ io, uri }: Invocation, names: Names, options: VerifyOptions): Promise<ExitCode> {
  const view = createVerifyView(io, options.json ?? false, uri);
  return interruptible(
    async (signal) => {
      try {
        await using session = openSession(uri);
        const request = { a: firstOf(names, options), b: secondOf(names, options) };
        const work = verifyChains(session.context, request, {
          signal,
          report: (report) => view.report(report),
        });
        const verified = await orInterrupted(work, signal);
        view.verified(verified);
        return verified.difference === undefined ? ExitCode.DONE : ExitCode.FAILED;
      } catch (error) {
        const { outcome, exitCode, error: words } = explain(error);
        view.failed(bareResult(outcome, exitCode, { error: words }));
        return exitCode;
      }
    },
    () => {},
  );
}

/** @throws UsageError */
function firstOf([a, b, image]: Names, { format }: VerifyOptions): ChainName {
  if (image === undefined) return { kind: 'image', name: a, ...(format !== undefined && { format }) };
  if (format === undefined) return { kind: 'disk', domain: a, disk: b };
  throw new UsageError(
    `--format ${format}: the formats of ${b} are those that the definition of ${a} declares`,
    'for the image that it is compared with: --dest-format',
  );
}

function secondOf([, b, image]: Names, { destFormat }: VerifyOptions): ChainName {
  const format = destFormat !== undefined && { format: destFormat };
  return { kind: 'image', name: image ?? b, ...format };
}
