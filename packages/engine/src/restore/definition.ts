// The definition of a domain as it is restored.
import type { DomainXml } from '@blockferry/libvirt';
import { encryptionBy } from '../backup/locked.ts';
import { withoutRecords } from '../backup/plain-definition.ts';
import { disksBesides, keepPlaces } from './left-out.ts';
import type { RestorePlan } from './request.ts';

/** @param present of the domain that is restored over, as it is now */
export function definitionFor(
  plan: RestorePlan,
  stored: DomainXml,
  present: DomainXml | undefined,
): DomainXml {
  const definition = withoutRecords(stored);
  const targets = plan.disks.map(({ target }) => target);
  keepPlaces(definition, present, targets);
  if (plan.as.kind === 'new') {
    // They are another domain's, which writes to them.
    for (const { target } of disksBesides(definition, targets)) definition.removeDisk(target);
    definition.becomeAnother(plan.name, plan.uuid);
  }
  for (const { target, path, format, secret } of plan.disks) {
    const encryption = secret !== undefined && { encryption: encryptionBy(secret) };
    definition.setDiskSource(target, { kind: 'file', path, ...encryption }, format);
  }
  if (plan.nvram !== undefined) definition.setNvram(plan.nvram);
  return definition;
}
