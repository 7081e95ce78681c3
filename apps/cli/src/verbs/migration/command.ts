// What every command on a migration does around its own work.
import type { ExitCode } from '../../exit-code.ts';
import { explain } from '../../outcome/explain.ts';
import { bareMigration } from '../../outcome/migration.ts';
import { openSession, type Session } from '../../session.ts';
import { interruptible } from '../../terminal/interrupt.ts';
import { createMigrationView, type MigrationView } from '../../views/migration-view.ts';
import type { Invocation } from '../verb.ts';

export interface MigrationTools {
  readonly session: Session;
  readonly view: MigrationView;
  readonly signal: AbortSignal;
}

/** Opens the session, stops on Ctrl-C, and puts every error into words. */
export async function migrationCommand<Code extends ExitCode | undefined>(
  { io, uri }: Invocation,
  { json, domain }: { readonly json: boolean; readonly domain?: string },
  work: (tools: MigrationTools) => Promise<Code>,
): Promise<Code | ExitCode> {
  const view = createMigrationView(io, json, uri);
  return interruptible(
    async (signal) => {
      try {
        await using session = openSession(uri);
        return await work({ session, view, signal });
      } catch (error) {
        const { outcome, exitCode, error: words } = explain(error);
        view.result(bareMigration(outcome, exitCode, { domain, error: words }));
        return exitCode;
      }
    },
    () => view.stopping(),
  );
}
