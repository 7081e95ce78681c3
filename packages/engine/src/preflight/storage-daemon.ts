// The program that copies layers comes in another package than qemu-img, and a guest is not frozen for a copy that never begins.
import { type Host, HostError } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';

/**
 * @param or what helps besides
 * @throws Refusal `no-storage-daemon`; HostError
 */
export async function mustHaveStorageDaemon(host: Pick<Host, 'name' | 'run'>, or = ''): Promise<void> {
  try {
    await host.run(['qemu-storage-daemon', '--version']);
  } catch (error) {
    if (!(error instanceof HostError) || error.code !== 'not-found') throw error;
    const why = `there is no qemu-storage-daemon on ${host.name}, which copies images outside of a guest's QEMU`;
    const hint = `install it: blockferry doctor names the package${or}`;
    throw new Refusal('no-storage-daemon', why, {}, hint, { cause: error });
  }
}
