// One blockferry at a time restores a domain of a name, or removes what a restore of it has left: to a second, what the first
// has made so far would look like that.
import { createHash } from 'node:crypto';
import type { Host } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { DIES_WITHIN_S, type HostLock, namedLock, takeHostLock } from '../run/host-lock.ts';

/** Held until it is disposed of, or we are gone. @throws Refusal `at-work`; HostError; the signal's reason */
export function aloneRestoring(host: Host, name: string, signal: AbortSignal): Promise<HostLock> {
  // Names of domains have characters that names of files have not.
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 32);
  const refusal = () =>
    new Refusal(
      'at-work',
      `another blockferry is restoring ${name}`,
      { domain: name },
      'wait for it; or end it, and do this again',
    );
  return takeHostLock(host, namedLock(`restore-${digest}`, '-w', DIES_WITHIN_S), { refusal, signal });
}
