// Disks that a domain has got since its migration began: nobody has copied them.
import type { DomainXml } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { StepImpossible } from './errors.ts';
import { isCopied } from './preflight/disks.ts';
import type { MigrationRecord } from './record.ts';

/** Pure. libvirt calls it "unsafe", or does not look where it is of the next start only. @throws StepImpossible */
export function mustHaveNoOther(
  definition: DomainXml,
  { disks, domain }: Pick<MigrationRecord, 'disks' | 'domain'>,
): void {
  const known = disks.map(({ target }) => target);
  const other = definition.disks().find((disk) => isCopied(disk) && !known.includes(disk.target));
  if (other === undefined) return;
  const { name } = domain;
  const detach = `virsh detach-disk ${quoteArgument(name)} ${other.target}, with --config too`;
  throw new StepImpossible(
    'cross',
    `the disk ${other.target} was attached since ${name} began to be migrated, and is not copied: detach it (${detach}), or abort and migrate again`,
  );
}
