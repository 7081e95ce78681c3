// A domain that is being migrated is not moved, nor migrated twice.
import { quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { Definitions } from '../observe/definitions.ts';
import { recordIn } from './store.ts';

/** @throws Refusal `migration-under-way` */
export function mustNotMigrate({ live, config }: Pick<Definitions, 'live' | 'config'>): void {
  const open = recordIn(live) ?? recordIn(config);
  if (open === undefined) return;
  const { name } = open.domain;
  throw new Refusal(
    'migration-under-way',
    `${name} is being migrated to ${open.away} already`,
    { id: open.id },
    `continue it: blockferry resume ${quoteArgument(name)}; or undo it: blockferry abort ${quoteArgument(name)}`,
  );
}
