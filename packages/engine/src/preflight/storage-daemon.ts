// The program that copies layers comes in another package than qemu-img, and a guest is not frozen for a copy that never begins.
import type { Host } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { hasProgram } from '../observe/has-program.ts';

/**
 * @param or what helps besides
 * @throws Refusal `no-storage-daemon`; HostError
 */
export async function mustHaveStorageDaemon(host: Pick<Host, 'name' | 'run'>, or = ''): Promise<void> {
  if (await hasProgram(host, 'qemu-storage-daemon')) return;
  const why = `there is no qemu-storage-daemon on ${host.name}, which copies images outside of a guest's QEMU`;
  throw new Refusal('no-storage-daemon', why, {}, `install it: blockferry doctor names the package${or}`);
}
