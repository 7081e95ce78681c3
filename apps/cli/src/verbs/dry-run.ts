// `--dry-run`, as every verb has it that makes a plan; `--plan` says the same.
import type { Command } from 'commander';

export interface DryRunOption {
  readonly dryRun?: boolean;
}

export function addDryRun(command: Command, what = 'say what would be done, and touch nothing'): Command {
  return command
    .option('--dry-run', what)
    .addOption(command.createOption('--plan', '--dry-run').implies({ dryRun: true }).hideHelp());
}
