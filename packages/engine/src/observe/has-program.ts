// Is a program there that comes in a package of its own?
import { type Host, HostError } from '@blockferry/qemu';

/** @throws HostError when the host cannot be asked, which says nothing of it; the signal's reason */
export async function hasProgram(
  host: Pick<Host, 'run'>,
  name: string,
  signal?: AbortSignal,
): Promise<boolean> {
  try {
    await host.run([name, '--version'], signal && { signal });
    return true;
  } catch (error) {
    if (error instanceof HostError && error.code === 'not-found') return false;
    throw error;
  }
}
