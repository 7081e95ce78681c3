// How long a command takes that does next to nothing.
import { type Bench, type Case, turn } from '../bench.ts';
import { timed } from '../measure/timed-command.ts';
import { blockferry } from '../peers/blockferry.ts';
import { type CaseResult, type Figure, timesBetter } from '../result.ts';

const RUNS_A_ROUND = 5;

export const startUp: Case = {
  name: 'start-up',
  title: 'Start of the command line',
  run: async (bench: Bench): Promise<CaseResult> => {
    const { uri } = bench.host;
    const commands = [
      { peer: 'blockferry', what: '--version', argv: [blockferry, '--version'] },
      { peer: 'virsh', what: '--version', argv: ['virsh', '--version'] },
      { peer: 'blockferry', what: 'list', argv: [blockferry, '-c', uri, 'list'] },
      { peer: 'virsh', what: 'list', argv: ['virsh', '-c', uri, 'list', '--all'] },
    ];
    const took = new Map(commands.map((command) => [command, [] as number[]]));
    // The first run of each reads its program from the disk, and ours compiles it: not counted.
    for (const { argv } of commands) await timed({ argv, capMs: 60_000 });
    for (let round = 0; round < bench.repeat * RUNS_A_ROUND; round++) {
      for (const command of turn(commands, round)) {
        const { ended, seconds, said } = await timed({ argv: command.argv, capMs: 60_000 });
        if (ended !== 'well') throw new Error(`${command.argv.join(' ')}: ${said}`);
        took.get(command)?.push(seconds * 1000);
      }
    }
    const figures = commands.map((command): Figure => {
      return { peer: command.peer, what: command.what, unit: 'ms', values: took.get(command) ?? [] };
    });
    const ratios = ['--version', 'list'].map((what) => timesBetter(figures, what, 'blockferry', 'virsh'));
    return { ...startUp, figures, ratios: ratios.filter((ratio) => ratio !== undefined), notes: [] };
  },
};
