// Makes the persistent definition of a domain name other images for its disks; everything else in it stays as it is.
import { type Backing, type Domain, DomainXml, DomainXmlFlags } from '@blockferry/libvirt';
import { StepFailed } from '../model/errors.ts';
import type { ImageRef } from '../model/record.ts';
import type { Context } from '../run/context.ts';
import { namedLock, takeHostLock } from '../run/host-lock.ts';

export interface DiskOn {
  /** Target dev. */
  readonly disk: string;
  readonly image: ImageRef;
  /** What must be said of the images below it; undefined: libvirt finds them by their headers. */
  readonly backing: Backing | undefined;
}

/** Seconds, for flock: whoever is ahead is through in a moment, or hangs. */
const WAIT_S = '30';

/**
 * Reads it anew, with secrets, which would be lost otherwise. libvirt cannot define "only if nothing has changed": who else of us
 * defines this domain anew, for another disk, waits meanwhile on the host. May be repeated.
 *
 * @throws StepFailed when somebody else does not come to an end of it; LibvirtError, HostError
 */
export async function redefine(
  { link, host }: Pick<Context, 'link' | 'host'>,
  domain: Pick<Domain, 'uuid' | 'name' | 'getXmlDesc'>,
  disks: readonly DiskOn[],
): Promise<void> {
  const { signal } = new AbortController();
  const refusal = () =>
    new StepFailed(
      'define-on',
      `another blockferry is about to define ${domain.name}, and does not come to it`,
    );
  const lock = namedLock(`${domain.uuid}.definition`, '-w', WAIT_S);
  using _ = host && (await takeHostLock(host, lock, { refusal, signal }));
  const definition = DomainXml.parse(
    await domain.getXmlDesc(DomainXmlFlags.INACTIVE | DomainXmlFlags.SECURE),
  );
  for (const { disk, image, backing } of disks) {
    definition.setDiskSource(disk, image.source, image.format, backing);
  }
  await (await link.connection()).defineDomainXml(definition.toString());
}
