// A look at every domain of a connection: several side by side, for each look is some round trips, and there may be hundreds.
import type { Connection, Domain } from '@blockferry/libvirt';

/** Enough for libvirt's places on one connection (five calls), and for programs on the host that read headers. */
const AT_ONCE = 8;

/**
 * What `look` finds, in the order in which libvirt lists the domains. The first look that fails ends it: none begins after.
 *
 * @param domains default: all of the connection
 * @throws what listing and `look` throw
 */
export async function ofEveryDomain<T>(
  connection: Connection,
  look: (domain: Domain) => Promise<T>,
  domains?: readonly Domain[],
): Promise<T[]> {
  const all = domains ?? (await connection.listAllDomains());
  const found: T[] = new Array(all.length);
  const waiting = all.entries();
  let failed = false;
  // All take from one iterator.
  const looker = async (): Promise<void> => {
    for (const [index, domain] of waiting) {
      if (failed) return;
      try {
        found[index] = await look(domain);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, looker));
  return found;
}
