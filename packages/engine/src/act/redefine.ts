// Makes the persistent definition of a domain name other images for its disks; everything else in it stays as it is.
import { type Backing, type Connection, type Domain, DomainXml, DomainXmlFlags } from '@blockferry/libvirt';
import type { ImageRef } from '../model/record.ts';

export interface DiskOn {
  /** Target dev. */
  readonly disk: string;
  readonly image: ImageRef;
  /** What must be said of the images below it; undefined: libvirt finds them by their headers. */
  readonly backing: Backing | undefined;
}

/** Reads it anew, with secrets, which would be lost otherwise. May be repeated. @throws LibvirtError */
export async function redefine(
  connection: Connection,
  domain: Pick<Domain, 'getXmlDesc'>,
  disks: readonly DiskOn[],
): Promise<void> {
  const definition = DomainXml.parse(
    await domain.getXmlDesc(DomainXmlFlags.INACTIVE | DomainXmlFlags.SECURE),
  );
  for (const { disk, image, backing } of disks) {
    definition.setDiskSource(disk, image.source, image.format, backing);
  }
  await connection.defineDomainXml(definition.toString());
}
