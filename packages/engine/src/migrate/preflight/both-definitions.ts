// The definition that a domain runs by, and the one of its next start: both come along, and must be of the same disks.
import { type DiskSource, type DomainXml, sameSource } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../../model/errors.ts';
import type { Definitions } from '../../observe/definitions.ts';
import { isCopied } from './disks.ts';

/**
 * Pure. What only one of them has would be copied for nothing, or be missing at the next start there.
 *
 * @throws Refusal `definition-differs`
 */
export function mustAgree({ live, config }: Pick<Definitions, 'live' | 'config'>, name: string): void {
  if (live === undefined || config === undefined) return;
  const [now, next] = [disksOf(live), disksOf(config)];
  for (const target of new Set([...now.keys(), ...next.keys()])) {
    const [here, then] = [now.get(target), next.get(target)];
    if (here !== undefined && then !== undefined && sameSource(here, then)) continue;
    const only = then === undefined ? 'only while it runs, not' : 'only';
    const message =
      here === undefined || then === undefined
        ? `${name} has the disk ${target} ${only} in the definition of its next start`
        : `the disk ${target} of ${name} is another image in the definition of its next start`;
    throw new Refusal(
      'definition-differs',
      message,
      { disk: target },
      `make both agree (virsh attach-disk, detach-disk or update-device, with --config for the next start, with --live for now); they differ in: virsh dumpxml ${quoteArgument(name)}, and the same with --inactive`,
    );
  }
}

function disksOf(definition: DomainXml): Map<string, DiskSource> {
  const disks = definition.disks().filter(isCopied);
  return new Map(disks.flatMap(({ target, source }) => (source === undefined ? [] : [[target, source]])));
}
