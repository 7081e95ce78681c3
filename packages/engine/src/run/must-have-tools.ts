// Who carries a move on needs what it was begun with: a way to its files and journals on the host.
import { fileBeside } from '../model/beside.ts';
import { Refusal } from '../model/errors.ts';
import type { MoveRecord } from '../model/record.ts';
import type { Context } from './context.ts';

/** @throws Refusal `no-host` for a move whose files would be left where they are, and whose journals would not be seen */
export function mustHaveTools({ host }: Pick<Context, 'host'>, move: MoveRecord): void {
  const hasFiles = move.tools === true && fileBeside(move) !== undefined;
  if (host !== undefined || !(hasFiles || move.layered || move.shorten)) return;
  throw new Refusal(
    'no-host',
    `what was begun on ${move.disk} of ${move.domain.name} has files on the host, and this connection gives no way to them`,
    { disk: move.disk },
    'use a connection over ssh, or run it on that host',
  );
}
