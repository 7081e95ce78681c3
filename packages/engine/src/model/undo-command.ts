// What an operator types to take a move back.
import { quoteArgument } from '@blockferry/qemu';
import type { MoveRecord } from './record.ts';

/** Disks that move as one are taken back together, and named by their domain. */
export function undoCommand({ domain, disk, group }: Pick<MoveRecord, 'domain' | 'disk' | 'group'>): string {
  const name = quoteArgument(domain.name);
  return `blockferry abort ${group === undefined ? `${name} ${disk}` : name}`;
}
