// A chain shown read-only through an NBD socket, in a directory that nobody else can enter: to guestfish it is one raw
// disk, so nothing is left for it to probe, and no name of an image comes near its options.
import type { Host } from '../host/host.ts';
import { scratchDirectory } from '../host/scratch-directory.ts';
import { tlsObject, toBlockdev } from '../image/blockdev.ts';
import type { Image } from '../image/location.ts';
import type { StorageDaemon } from '../storage-daemon/start.ts';
import { startStorageDaemon } from '../storage-daemon/start.ts';

export interface ChainView extends AsyncDisposable {
  /** On the host; mode 0700. */
  readonly directory: string;
  /** An NBD URI in guestfish's words. */
  readonly uri: string;
}

const NODE = 'view';

/**
 * Opens the images as they are declared, whoever has them open: without asking for any lock (`force-share`). Of an image
 * that a guest writes to it shows what has reached the file, which may be torn. Ends with us; the directory then stays
 * only if we were killed before its reader removed it.
 *
 * @param chain top first
 * @throws QmpCommandError when an image cannot be opened; StorageDaemonError, HostError
 */
export async function viewChain(
  host: Host,
  chain: readonly [Image, ...Image[]],
  signal: AbortSignal,
): Promise<ChainView> {
  await using stack = new AsyncDisposableStack();
  const daemon = stack.use(await startStorageDaemon(host, { signal }));
  const { path: directory } = stack.use(await scratchDirectory(host, signal));
  await openChain(daemon, chain);
  const path = `${directory}/nbd`;
  await daemon.qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path } } });
  await daemon.qmp.execute('block-export-add', { type: 'nbd', id: 'nbd', 'node-name': NODE, name: NODE });
  const kept = stack.move();
  return {
    directory,
    uri: `nbd:///${NODE}?socket=${path}`,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function openChain(
  { qmp }: StorageDaemon,
  [top, ...below]: readonly [Image, ...Image[]],
): Promise<void> {
  const credentials = [top, ...below].flatMap(({ location }) =>
    location.kind === 'nbd' && location.tls ? [location.tls] : [],
  );
  const [tls] = credentials;
  if (tls !== undefined) {
    const { 'qom-type': type, id, ...rest } = tlsObject(tls);
    await qmp.execute('object-add', { ...rest, 'qom-type': String(type), id: String(id) });
  }
  const tree = toBlockdev(top, { backing: below });
  await qmp.execute('blockdev-add', { ...tree, 'node-name': NODE, 'read-only': true, 'force-share': true });
}
