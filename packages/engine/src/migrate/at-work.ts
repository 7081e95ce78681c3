// Is somebody carrying this migration out?
import { isAtWork } from '../run/at-work.ts';
import type { Context } from '../run/context.ts';
import { sideOf } from './hosts.ts';
import type { MigrationRecord } from './record.ts';

/**
 * Does a blockferry carry the migration out at this moment? The lock that tells is on the host at home.
 *
 * @returns undefined: this connection leads to another host, or gives no way to look
 * @throws HostError, LibvirtError
 */
export async function migrationAtWork(
  { link, host }: Pick<Context, 'link' | 'host'>,
  record: Pick<MigrationRecord, 'hosts' | 'domain'>,
): Promise<boolean | undefined> {
  if (host === undefined || (await sideOf(await link.connection(), record)) !== 'home') return undefined;
  return isAtWork(host, { domain: record.domain, parts: ['migration'] });
}
