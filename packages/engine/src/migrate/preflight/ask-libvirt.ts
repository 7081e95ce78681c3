// libvirt is asked on both hosts what it has against the crossing: it would say so when all has been copied.
import { DomainMigrateFlags, ErrorCode, isLibvirtError } from '@blockferry/libvirt';
import { Refusal } from '../../model/errors.ts';
import { callsOf } from '../calls.ts';
import type { Pair } from '../pair.ts';
import type { MigrationRecord } from '../record.ts';

/**
 * At home the first phase of a migration, which without CHANGE_PROTECTION holds nothing and is over when it has answered; at
 * the destination the command line by which QEMU would be started, now and at the next start.
 *
 * @throws Refusal `not-migratable`, `cannot-run-there`
 */
export async function mustLetItCross(pair: Pair, record: MigrationRecord): Promise<void> {
  const { domain, away, params, flags } = await callsOf(pair, record);
  const { name } = record.domain;
  if (record.mode === 'live') {
    await orRefusal(
      domain.migrateBegin3(params, flags & ~DomainMigrateFlags.CHANGE_PROTECTION),
      'not-migratable',
      `libvirt does not migrate ${name}`,
    );
  }
  const definitions = new Set([
    params.persistent_xml,
    ...(record.mode === 'live' ? [params.destination_xml] : []),
  ]);
  for (const xml of definitions) {
    await orRefusal(
      away.domainXmlToNative(xml),
      'cannot-run-there',
      `the destination's libvirt cannot run ${name} as it is defined`,
    );
  }
}

async function orRefusal(call: Promise<unknown>, code: string, what: string): Promise<void> {
  try {
    await call;
  } catch (error) {
    // Who may not ask, or cannot, learns it later.
    if (isLibvirtError(error, ErrorCode.NO_SUPPORT) || isLibvirtError(error, ErrorCode.ACCESS_DENIED)) return;
    if (!isLibvirtError(error)) throw error;
    throw new Refusal(code, `${what}: ${error.message}`, {}, undefined, { cause: error });
  }
}
