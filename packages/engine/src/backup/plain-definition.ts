// A definition as it is without us: no record of a move or of a backup may come back with it.
import { DomainXml } from '@blockferry/libvirt';

export function withoutRecords(definition: DomainXml): DomainXml {
  const plain = DomainXml.parse(definition.toString());
  plain.removeMetadata((namespace) => namespace.startsWith('urn:blockferry:'));
  return plain;
}
