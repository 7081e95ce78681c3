// Block nodes that a libvirtd left in QEMU when it died: nobody uses them, and they hold the copies.
import { type Domain, LibvirtError, MonitorError } from '@blockferry/libvirt';
import { formatLocation } from '@blockferry/qemu';
import type { ImageRef } from '../../model/record.ts';
import { toLocation } from '../../storage/to-image.ts';

/**
 * A libvirtd that is killed in the pivot of a shallow copy has opened the copies below the carrier, and does not know of
 * it any more: its next pivot is refused, for the names of the nodes are taken; and with another carrier, the commit is,
 * for the image is locked (seen with libvirt 9.0).
 */
export function meansStrayNodes(error: unknown): boolean {
  return (
    error instanceof LibvirtError &&
    /Duplicate nodes with node-name|Failed to get "write" lock/.test(error.message)
  );
}

/** Removes those that hold one of these images. QEMU lets go of no node that anything uses. Returns whether there were any. */
export async function dropStrayNodes(
  domain: Pick<Domain, 'monitorCommand'>,
  images: readonly ImageRef[],
): Promise<boolean> {
  const copies = images.map(({ source }) => formatLocation(toLocation(source)));
  let dropped = false;
  for (const { 'node-name': name, file } of await namedNodes(domain)) {
    const stem = /^(libvirt-\d+)-storage$/.exec(name)?.[1];
    if (stem === undefined || !copies.includes(file)) continue;
    // The format's node holds the slice's, and that the file's; there may be none.
    for (const upper of ['format', 'slice-sto']) await drop(domain, `${stem}-${upper}`);
    if (await drop(domain, name)) dropped = true;
  }
  return dropped;
}

type Node = { readonly 'node-name': string; readonly file: string };

async function namedNodes(domain: Pick<Domain, 'monitorCommand'>): Promise<readonly Node[]> {
  const command = { execute: 'query-named-block-nodes', arguments: { flat: true } };
  return (await domain.monitorCommand(command)) as readonly Node[];
}

async function drop(domain: Pick<Domain, 'monitorCommand'>, name: string): Promise<boolean> {
  const command = { execute: 'blockdev-del', arguments: { 'node-name': name } };
  try {
    await domain.monitorCommand(command);
    return true;
  } catch (error) {
    if (error instanceof MonitorError) return false;
    throw error;
  }
}
