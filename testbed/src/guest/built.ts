// What `npm run setup` built of the guest, brought to where a host's QEMU may read it.
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LibvirtHost } from '../libvirt-host/host.ts';

/** An image that has this program too: fio, or QEMU's guest agent, which runs if the domain has its channel. */
export type GuestProgram = 'fio' | 'agent';

export const builtGuest = fileURLToPath(new URL('../../../.cache/guest', import.meta.url));

const provided = new WeakMap<LibvirtHost, Map<string, Promise<string>>>();

/**
 * Copies a file of the built guest to where the host's QEMU may read it.
 * Once for each host: written again, it would change under the guests that are reading it.
 * @returns its path there
 */
export function provide(host: LibvirtHost, name: string): Promise<string> {
  const files = provided.get(host) ?? new Map<string, Promise<string>>();
  provided.set(host, files);
  const place = join(host.directory, 'guest', name);
  const copied = files.get(name) ?? copyFile(join(builtGuest, name), place).then(() => place);
  files.set(name, copied);
  return copied;
}

/** The guest's kernel and initramfs, as `domainXml` wants them. */
export async function provideBoot(
  host: LibvirtHost,
  program?: GuestProgram,
): Promise<{ readonly kernel: string; readonly initrd: string }> {
  const [kernel, initrd] = await Promise.all([
    provide(host, 'kernel'),
    provide(host, program === undefined ? 'initrd.gz' : `initrd-${program}.gz`),
  ]);
  return { kernel, initrd };
}
