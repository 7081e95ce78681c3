// What a restored domain has that its backup does not hold, and what of it is missing here.
import { type DiskDefinition, type DomainXml, describeSource } from '@blockferry/libvirt';
import { type Host, quoteArgument } from '@blockferry/qemu';
import type { Manifest } from '../backup/model.ts';
import { lookAt } from '../preflight/look.ts';
import type { Warning } from '../preflight/warning.ts';
import type { RestoreRequest } from './request.ts';

/** @throws Refusal `destination-silent` */
export async function warningsFor(
  host: Host,
  { disks, nvram, domain }: Manifest,
  definition: DomainXml,
  { as }: RestoreRequest,
): Promise<Warning[]> {
  const warnings: Warning[] = [];
  const stored = disks.map(({ target }) => target);
  for (const { target } of disksBesides(definition, stored)) {
    const what = as.kind === 'new' ? 'the new domain gets none' : 'it stays what the definition names';
    warnings.push({ code: 'disk-left-out', message: `the backup holds no ${target}: ${what}` });
  }
  if (definition.osNvram !== undefined && nvram === undefined) {
    const message = "the backup holds no variables of the domain's firmware: libvirt makes new ones";
    warnings.push({ code: 'nvram-left-out', message });
  }
  const name = as.kind === 'new' ? as.name : domain.name;
  const isNew = as.kind === 'new';
  const named = definition
    .disks()
    .filter(({ device, target }) => !stored.includes(target) && !(isNew && device === 'disk'));
  const missing = await Promise.all(named.map((disk) => missingMedium(host, name, disk)));
  return [...warnings, ...missing.flat()];
}

/** libvirt starts no domain one of whose drives has a file that is not there. */
async function missingMedium(
  host: Host,
  name: string,
  { target, device, source }: DiskDefinition,
): Promise<Warning[]> {
  if (source?.kind !== 'file' || (await lookAt(host, source.path)) !== null) return [];
  const argv = ['change-media', name, target, '--eject', '--config'].map(quoteArgument);
  const remedy = device === 'disk' ? '' : `; without it: virsh ${argv.join(' ')}`;
  const message = `${target} has ${describeSource(source)}, which is not there: the domain does not start until it is${remedy}`;
  return [{ code: 'medium-missing', message }];
}

/** Disks with contents that the backup does not hold. */
export function disksBesides(definition: DomainXml, stored: readonly string[]): readonly DiskDefinition[] {
  return definition
    .disks()
    .filter(
      ({ device, target, source }) => device === 'disk' && source !== undefined && !stored.includes(target),
    );
}
