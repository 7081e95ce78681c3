// What a restored domain has that its backup does not hold, and what of it is missing here.
import { type DiskDefinition, DomainXml, describeSource, sameSource } from '@blockferry/libvirt';
import { type Host, quoteArgument } from '@blockferry/qemu';
import type { Manifest } from '../backup/model.ts';
import { whyLeftOut } from '../preflight/group.ts';
import { lookAt } from '../preflight/look.ts';
import type { Warning } from '../preflight/warning.ts';
import { backingToTell, refsOf } from '../storage/chain-refs.ts';
import type { RestoreRequest } from './request.ts';

/**
 * @param definition of the point, with the places of now
 * @param present of the domain that is restored over, as it is now
 * @throws Refusal `destination-silent`
 */
export async function warningsFor(
  host: Host,
  { disks, nvram, domain }: Manifest,
  { definition, present }: { readonly definition: DomainXml; readonly present: DomainXml | undefined },
  { as }: RestoreRequest,
): Promise<Warning[]> {
  const warnings: Warning[] = [];
  const leftOut = (message: string) => warnings.push({ code: 'disk-left-out', message });
  const stored = disks.map(({ target }) => target);
  for (const { target, source } of disksBesides(definition, stored)) {
    const again = present !== undefined && present.disk(target)?.source === undefined;
    const image = source === undefined ? 'nothing' : describeSource(source);
    const what = again ? `it gets it again, which it had then, with ${image}` : `it stays on ${image}`;
    leftOut(`the backup holds no ${target}: ${as.kind === 'new' ? 'the new domain gets none' : what}`);
  }
  if (as.kind === 'new' && definition.hasMemoryOnFiles) {
    leftOut('the backup holds nothing of its NVDIMM, which is a file: the new domain gets none');
  }
  const had = definition.disks().map(({ target }) => target);
  for (const { target, source } of present === undefined ? [] : disksBesides(present, had)) {
    const image = source === undefined ? '' : ` (${describeSource(source)})`;
    leftOut(
      `${domain.name} has ${target}${image} now, and had it not then: it is taken out, and the image stays`,
    );
  }
  if (definition.osNvram !== undefined && nvram === undefined) {
    const message = "the backup holds no variables of the domain's firmware: libvirt makes new ones";
    warnings.push({ code: 'nvram-left-out', message });
  }
  const name = as.kind === 'new' ? as.name : domain.name;
  const isNew = as.kind === 'new';
  const named = definition
    .disks()
    .filter((disk) => !stored.includes(disk.target) && (!isNew || isMedium(disk)));
  const missing = await Promise.all(named.map((disk) => missingMedium(host, name, disk)));
  return [...warnings, ...missing.flat()];
}

function isMedium({ device }: DiskDefinition): boolean {
  return device === 'cdrom' || device === 'floppy';
}

/** libvirt starts no domain one of whose drives has a file that is not there. */
async function missingMedium(host: Host, name: string, disk: DiskDefinition): Promise<Warning[]> {
  const { target, source } = disk;
  if (source?.kind !== 'file' || (await lookAt(host, source.path)) !== null) return [];
  const argv = ['change-media', name, target, '--eject', '--config'].map(quoteArgument);
  const remedy = isMedium(disk) ? `; without it: virsh ${argv.join(' ')}` : '';
  const message = `${target} has ${describeSource(source)}, which is not there: the domain does not start until it is${remedy}`;
  return [{ code: 'medium-missing', message }];
}

/** With its volumes named as such, as those of a stored definition are. */
export function asWritten(definition: DomainXml | undefined): DomainXml | undefined {
  return definition && DomainXml.parse(definition.toString());
}

/** A disk that the backup does not hold is where it is now, not where it was then: it may have been moved since. */
export function keepPlaces(
  definition: DomainXml,
  present: DomainXml | undefined,
  stored: readonly string[],
): void {
  for (const { target, source: then } of disksBesides(definition, stored)) {
    const disk = present?.disk(target);
    if (disk?.source === undefined || (then !== undefined && sameSource(then, disk.source))) continue;
    const [, ...below] = refsOf(disk);
    definition.setDiskSource(target, disk.source, disk.driver.format ?? 'raw', backingToTell(below));
  }
}

/** Disks with contents that the backup does not hold. */
export function disksBesides(definition: DomainXml, stored: readonly string[]): readonly DiskDefinition[] {
  return definition.disks().filter((disk) => whyLeftOut(disk) === undefined && !stored.includes(disk.target));
}
