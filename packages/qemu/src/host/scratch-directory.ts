// A directory of our own on a host, for as long as it is used.
import type { Host } from './host.ts';

export interface ScratchDirectory extends AsyncDisposable {
  readonly path: string;
}

/**
 * Readable by us alone. Disposing removes it with all that is in it; a crash leaves it in the host's directory for temporary
 * files, which a host has its own cleaning of.
 *
 * @throws HostError; Error when it cannot be made
 */
export async function scratchDirectory(host: Host, signal?: AbortSignal): Promise<ScratchDirectory> {
  const argv = ['mktemp', '-d', '/tmp/blockferry.XXXXXX'];
  const { code, stdout, stderr } = await host.run(argv, signal === undefined ? {} : { signal });
  const path = stdout.trim();
  if (code !== 0 || path === '') throw new Error(`mktemp: ${stderr.trim()}`);
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await host.run(['rm', '-rf', '--', path]);
    },
  };
}
