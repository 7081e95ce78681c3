// The commands by which an operator has libvirt forget snapshots.
import { quoteArgument } from '@blockferry/qemu';

/** A virsh command for each snapshot of a domain, children first; their names may be odd: `"$s"` in `work`. */
export function forEachSnapshot(name: string, work: string): string {
  return `virsh snapshot-list ${quoteArgument(name)} --name --topological | grep . | while IFS= read -r s; do virsh ${work}; done`;
}

/** What is in the images stays. */
export function forgetSnapshots(name: string): string {
  return forEachSnapshot(name, `snapshot-delete ${quoteArgument(name)} "$s" --metadata < /dev/null`);
}
