// What a new domain would share with the one whose backup it is made from, and libvirt cannot choose anew.
import type { DomainXml } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { endsOf } from '../preflight/ends.ts';
import type { Warning } from '../preflight/warning.ts';

/** QEMU takes the socket of a running domain away from it, and two write to one log. */
export function warningsOfEnds(definition: DomainXml): Warning[] {
  const { made, ports } = endsOf(definition.part('devices')?.children ?? []);
  return [...made, ...ports].map((end) => ({
    code: 'end-shared',
    message: `${end} is where a serial port, console or log of the domain goes that was backed up, and of the new one: before both run, virsh edit ${quoteArgument(definition.name)}`,
  }));
}
