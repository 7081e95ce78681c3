// The way from one host to files on the other: a storage daemon there exports them, by ssh or by TLS.
import {
  type Forward,
  formatLocation,
  type Host,
  type ListenAddress,
  type NbdLocation,
  type NodeOptions,
  startStorageDaemon,
} from '@blockferry/qemu';
import type { LayerPlan } from '../layers/index.ts';
import { tlsDirectory } from '../storage/tls-credentials.ts';
import type { TlsOption } from './record.ts';

/** So short that a socket's path in it stays within 108 bytes; by its name, what a crash left of it is found again. */
const directoryOf = (id: string, side: 'home' | 'away') => `/tmp/blockferry-${id}-${side}`;
/** Nobody else's, and entered by nobody else: /tmp is everybody's. */
const MAKE_DIRECTORY = 'mkdir -m 700 -- "$1" 2>/dev/null || { [ -d "$1" ] && [ -O "$1" ] && [ ! -L "$1" ]; }';
/** The ports that libvirt migrates on by default (migration_port_min in qemu.conf): a firewall has them open already. */
const PORTS = { first: 49_152, count: 64 };

export interface Way extends AsyncDisposable {
  /** Where the export of this number is found from home. */
  locationOf(at: number): NbdLocation;
  /**
   * Exports the copies, and leads there. What is written goes past the page cache of the other host, and what is read
   * comes from its storage.
   *
   * @throws StorageDaemonError, QmpCommandError, HostError
   */
  export(plans: readonly LayerPlan[], signal: AbortSignal): Promise<AsyncDisposable>;
}

/** @param id of the migration. @throws HostError */
export function openWay(home: Host, away: Host, id: string, tls: TlsOption | undefined): Promise<Way> {
  return tls === undefined ? bySocket(home, away, id) : byTls(home, away, tls);
}

/** What a crash has left of a way. */
export async function removeWay(home: Host, away: Host, id: string): Promise<void> {
  await removeDirectory(home, directoryOf(id, 'home'));
  await removeDirectory(away, directoryOf(id, 'away'));
}

const exportOf = (at: number) => `copy-${at}`;

/** Through a unix socket that only we may use; where the hosts are two machines, ssh brings it over. */
async function bySocket(home: Host, away: Host, id: string): Promise<Way> {
  const [here, directory] = [directoryOf(id, 'home'), directoryOf(id, 'away')];
  await mustRun(home, ['sh', '-c', MAKE_DIRECTORY, 'sh', here]);
  await mustRun(away, ['sh', '-c', MAKE_DIRECTORY, 'sh', directory]);
  const there = `${directory}/nbd`;
  // On one machine nothing has to be brought anywhere.
  const socket = home.isLocal && away.isLocal ? there : `${here}/nbd`;
  return {
    locationOf: (at) => ({ kind: 'nbd', server: { socket }, export: exportOf(at) }),
    export: async (plans, signal) => {
      await away.unlink(there);
      const serve = { addr: { type: 'unix', data: { path: there } } } as const;
      const daemon = await startExports(away, plans, signal, serve);
      const forwards: Forward[] = [];
      const close = async (): Promise<void> => {
        for (const forward of forwards.toReversed()) await forward[Symbol.asyncDispose]();
        await daemon[Symbol.asyncDispose]();
      };
      try {
        if (socket !== there) await lead(home, away, there, socket, forwards);
      } catch (error) {
        await close();
        throw error;
      }
      return { [Symbol.asyncDispose]: close };
    },
    [Symbol.asyncDispose]: () => removeWay(home, away, id),
  };
}

async function lead(
  home: Host,
  away: Host,
  there: string,
  socket: string,
  forwards: Forward[],
): Promise<void> {
  const brought = await away.bring(there);
  forwards.push(brought);
  await home.unlink(socket);
  if (!home.isLocal) forwards.push(await home.expose(brought.socket, socket));
  else await mustRun(home, ['ln', '-s', '--', brought.socket, socket]);
}

/** From home straight to the other host; each shows the certificate that libvirt gives to its QEMU for migrations. */
async function byTls(home: Host, away: Host, { host, name }: TlsOption): Promise<Way> {
  const [directory, theirs] = [await tlsDirectory(home, 'migrate'), await tlsDirectory(away, 'migrate')];
  const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
  const tls = { directory, ...(name !== undefined && { hostname: name }) };
  return {
    locationOf: (at) => ({ kind: 'nbd', server: { host, port }, export: exportOf(at), tls }),
    export: (plans, signal) => {
      const addr = { type: 'inet', data: { host: '::', port: String(port) } } as const;
      return startExports(away, plans, signal, { addr, tlsDirectory: theirs });
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

interface Serve {
  readonly addr: ListenAddress;
  readonly tlsDirectory?: string;
}

async function startExports(
  away: Host,
  plans: readonly LayerPlan[],
  signal: AbortSignal,
  { addr, tlsDirectory: directory }: Serve,
): Promise<AsyncDisposable> {
  const daemon = await startStorageDaemon(away, { signal });
  const { qmp } = daemon;
  const close = () => daemon.stop(signal.aborted ? 300 : 3_000);
  try {
    if (directory !== undefined) {
      const end = { endpoint: 'server', dir: directory, 'verify-peer': true };
      await qmp.execute('object-add', { 'qom-type': 'tls-creds-x509', id: 'tls', ...end });
    }
    await qmp.execute('nbd-server-start', { addr, ...(directory !== undefined && { 'tls-creds': 'tls' }) });
    for (const { to, away: copy } of plans) {
      if (to.location.kind !== 'nbd' || copy === undefined) continue;
      const name = to.location.export;
      await addNode(qmp, name, formatLocation(copy.file.location));
      await qmp.execute('block-export-add', {
        type: 'nbd',
        id: name,
        name,
        'node-name': name,
        writable: true,
      });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { [Symbol.asyncDispose]: close };
}

/** Past the page cache where the storage knows direct I/O. */
async function addNode(qmp: Qmp, name: string, filename: string): Promise<void> {
  const sparse = { discard: 'unmap', 'detect-zeroes': 'unmap' };
  const node: NodeOptions = { driver: 'file', 'node-name': name, filename, ...sparse };
  try {
    await qmp.execute('blockdev-add', { ...node, aio: 'native', cache: { direct: true } });
  } catch {
    await qmp.execute('blockdev-add', { ...node, aio: 'threads' });
  }
}

/** A host that is gone has its own cleaning of /tmp. */
async function removeDirectory(host: Host, directory: string): Promise<void> {
  await host.run(['rm', '-rf', '--', directory]).catch(() => {});
}

async function mustRun(host: Host, argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await host.run(argv);
  if (code !== 0) throw new Error(`${host.name}: ${argv[0]}: ${stderr.trim()}`);
  return stdout;
}

type Qmp = Awaited<ReturnType<typeof startStorageDaemon>>['qmp'];
