// blockferry bandwidth: changes the limit of a copy while it runs.
import { type Context, changeGoal, type MoveRecord, Refusal } from '@blockferry/engine';
import { quoteArgument } from '@blockferry/qemu';
import type { Command } from 'commander';
import { parseRate } from '../arguments/size.ts';
import { ExitCode } from '../exit-code.ts';
import { formatRate } from '../views/format.ts';
import { lookCommand } from './commands.ts';
import { openMoveOf, openMovesOf } from './open-move.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry bandwidth web 50M         limit the move of web to 50 MiB/s
  blockferry bandwidth web vda 0       no limit
`;

interface BandwidthOptions {
  readonly bytes?: boolean;
  readonly json?: boolean;
}

export const bandwidth: Verb = {
  configure(command: Command, run) {
    command
      .argument('<domain>', 'name, UUID or id')
      .argument('<disk-or-rate>', 'target (vda), which may be left out if one disk is being moved')
      .argument('[rate]', '100M, 1.5G, or a plain number in MiB/s; 0: no limit')
      .usage('DOMAIN [DISK] RATE [options]')
      .option('--bytes', 'a plain RATE is in bytes a second')
      .option('--json', 'one JSON object a line on stdout')
      .addHelpText('after', EXAMPLES)
      .action((domain: string, first: string, second: string | undefined, options: BandwidthOptions) =>
        run((invocation) =>
          second === undefined
            ? runBandwidth(invocation, domain, undefined, first, options)
            : runBandwidth(invocation, domain, first, second, options),
        ),
      );
  },
};

function runBandwidth(
  invocation: Invocation,
  domain: string,
  disk: string | undefined,
  text: string,
  { bytes = false, json = false }: BandwidthOptions,
): Promise<ExitCode> {
  return lookCommand(invocation, json, async ({ context, show }) => {
    const rate = parseRate(text, 'RATE', { bytes });
    const moves =
      disk === undefined
        ? await openMovesOf(context, domain, disk)
        : [await openMoveOf(context, domain, disk)];
    for (const move of moves) {
      await limit(context, move, rate);
      const { name } = move.domain;
      show({ type: 'bandwidth', domain: name, disk: move.disk, bandwidth: rate }, () => {
        const words = rate === 0n ? 'not limited' : `limited to ${formatRate(rate)}`;
        return `the copy of ${move.disk} of ${name} is ${words}\n`;
      });
    }
    return ExitCode.DONE;
  });
}

async function limit(context: Context, move: MoveRecord, rate: bigint): Promise<void> {
  const handle = await context.link.domain(move.domain.uuid);
  const runs = (await handle.blockJobInfo(move.disk)) !== null;
  // The copy of frozen layers is no block job: the blockferry that runs it reads the limit in the record.
  if (!runs && move.strategy !== 'layered') {
    throw new Refusal(
      'no-job',
      `no copy of ${move.disk} of ${move.domain.name} runs now`,
      {},
      `go on with it first: blockferry resume ${quoteArgument(move.domain.name)}`,
    );
  }
  if (runs) await handle.blockJobSetSpeed(move.disk, rate);
  await changeGoal(context, move, { bandwidth: rate });
}
