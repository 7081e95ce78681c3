// Which host a connection leads to. A URI does not tell: `qemu:///system` is another host on each machine.
import type { Connection } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { Pair } from './pair.ts';
import type { MigrationRecord } from './record.ts';

/** @throws Refusal `host-unknown` for a driver whose hosts have no UUID */
export async function hostUuidOf(connection: Connection): Promise<string> {
  const uuid = /<host>\s*<uuid>([^<]+)</.exec(await connection.capabilities())?.[1];
  if (uuid !== undefined) return uuid;
  throw new Refusal('host-unknown', `${connection.uri} does not tell which host it leads to`);
}

/** @throws Refusal `other-host` unless both connections lead to where the migration was begun */
export async function mustBeTheHosts(
  { home, away }: Pair,
  { hosts, domain }: MigrationRecord,
): Promise<void> {
  for (const [side, { link }] of [
    ['home', home],
    ['away', away],
  ] as const) {
    const uuid = await hostUuidOf(await link.connection());
    if (uuid === hosts[side]) continue;
    throw new Refusal(
      'other-host',
      `from here ${link.uri} leads to another host than the one ${side === 'home' ? 'from' : 'to'} which ${domain.name} is migrated`,
      { uri: link.uri, host: uuid, wanted: hosts[side] },
      `say how the other host is reached: blockferry resume ${quoteArgument(domain.name)} --peer URI`,
    );
  }
}

/** Which of the two hosts this connection leads to; undefined: neither. */
export async function sideOf(
  connection: Connection,
  { hosts }: Pick<MigrationRecord, 'hosts'>,
): Promise<'home' | 'away' | undefined> {
  const uuid = await hostUuidOf(connection);
  return uuid === hosts.home ? 'home' : uuid === hosts.away ? 'away' : undefined;
}
