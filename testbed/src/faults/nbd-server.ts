// NBD servers that can fail, hang, be slow or die whenever a test says so.
import { chmod, rm, writeFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { escapeXml } from '../guest/domain-xml.ts';
import { type AttachedProcess, startAttached } from '../process/attached.ts';

/** Where a server listens. Default: a unix socket beside the image, called PATH.nbd. */
export type NbdAddress = { readonly socket: string } | { readonly port: number };

type Common = {
  /** The image file that is served. */
  readonly path: string;
  /** The export's name; default the empty one. */
  readonly export?: string;
  readonly address?: NbdAddress;
};

export type NbdServerOptions = Common & {
  readonly format?: 'raw' | 'qcow2';
  /** More arguments for qemu-nbd, such as TLS credentials. */
  readonly extraArguments?: readonly string[];
};

export type FaultyNbdServerOptions = Common & {
  /** What the server answers while it fails. Default EIO. */
  readonly error?: 'EIO' | 'ENOSPC' | 'EPERM' | 'ESHUTDOWN';
  /** Which requests fail. Default all that nbdkit can make fail. */
  readonly failing?: readonly ('pread' | 'pwrite' | 'trim' | 'zero')[];
  readonly readDelayMs?: number;
  readonly writeDelayMs?: number;
};

/**
 * Serves an image with qemu-nbd, to eight clients at once, until it is stopped or this process ends.
 * @throws {Error} with qemu-nbd's words when it does not serve.
 */
export async function nbdServer(options: NbdServerOptions): Promise<NbdServer> {
  const address = options.address ?? { socket: `${options.path}.nbd` };
  const listen =
    'socket' in address ? ['-k', address.socket] : ['-b', '127.0.0.1', '-p', String(address.port)];
  const argv = [
    ...['qemu-nbd', '--persistent', '--shared=8', '--discard=unmap', '-f', options.format ?? 'raw'],
    ...['-x', options.export ?? '', ...listen, ...(options.extraArguments ?? []), options.path],
  ];
  const server = new NbdServer(argv, address, options.export ?? '');
  await server.start();
  return server;
}

/**
 * Serves a raw image with nbdkit; `fail()` makes its answers errors and `heal()` ends that, for connected clients too.
 * @throws {Error} with nbdkit's words when it does not serve.
 */
export async function faultyNbdServer(options: FaultyNbdServerOptions): Promise<FaultyNbdServer> {
  const address = options.address ?? { socket: `${options.path}.nbd` };
  const trigger = `${options.path}.fail`;
  const listen =
    'socket' in address ? ['-U', address.socket] : ['-i', '127.0.0.1', '-p', String(address.port)];
  const failing = options.failing ?? ['pread', 'pwrite', 'trim', 'zero'];
  const argv = [
    ...['nbdkit', '--foreground', '--exit-with-parent', ...listen, '-e', options.export ?? ''],
    ...['--filter=error', '--filter=delay', 'file', options.path],
    ...failing.map((request) => `error-${request}=${options.error ?? 'EIO'}`),
    ...failing.flatMap((request) => [`error-${request}-rate=100%`, `error-${request}-file=${trigger}`]),
    ...[`rdelay=${options.readDelayMs ?? 0}ms`, `wdelay=${options.writeDelayMs ?? 0}ms`],
  ];
  await rm(trigger, { force: true });
  const server = new FaultyNbdServer(argv, address, options.export ?? '', trigger);
  await server.start();
  return server;
}

/** A TCP port of 127.0.0.1 on which nobody listens. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

export class NbdServer {
  /** As QEMU and blockferry write it: `nbd://127.0.0.1:PORT/EXPORT` or `nbd+unix:///EXPORT?socket=PATH`. */
  readonly uri: string;
  /** The `<source>` element of a libvirt disk of type `network`. */
  readonly sourceXml: string;
  /** The block node, as `verifyAcknowledged` and QEMU's `blockdev-add` take it. */
  readonly node: Readonly<Record<string, unknown>>;
  readonly #argv: readonly string[];
  readonly #address: NbdAddress;
  #process: AttachedProcess | undefined;

  constructor(argv: readonly string[], address: NbdAddress, name: string) {
    this.#argv = argv;
    this.#address = address;
    const export_ = escapeXml(name);
    if ('socket' in address) {
      this.uri = `nbd+unix:///${encodeURIComponent(name)}?socket=${address.socket}`;
      const host = `<host transport='unix' socket='${escapeXml(address.socket)}'/>`;
      this.sourceXml = `<source protocol='nbd' name='${export_}'>${host}</source>`;
      this.node = { driver: 'nbd', export: name, server: { type: 'unix', path: address.socket } };
    } else {
      const port = String(address.port);
      this.uri = `nbd://127.0.0.1:${port}/${encodeURIComponent(name)}`;
      this.sourceXml = `<source protocol='nbd' name='${export_}'><host name='127.0.0.1' port='${port}'/></source>`;
      this.node = { driver: 'nbd', export: name, server: { type: 'inet', host: '127.0.0.1', port } };
    }
  }

  /** Starts it (again, after `kill`) and returns when it takes connections. */
  async start(): Promise<void> {
    await this.stop();
    this.#process = await startAttached(this.#argv, () => accepts(this.#address));
    // QEMU runs as another user, and a unix socket needs write permission.
    if ('socket' in this.#address) await chmod(this.#address.socket, 0o666);
  }

  /** From now on it is silent: it answers nothing, and accepts connections only as far as the kernel does that. */
  hang(): void {
    this.#process?.hang();
  }

  resume(): void {
    this.#process?.resume();
  }

  /** Dies at once, hanging or not; its clients see their connections close. `start` brings it back. */
  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  async stop(): Promise<void> {
    await this.kill();
    if ('socket' in this.#address) await rm(this.#address.socket, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

export class FaultyNbdServer extends NbdServer {
  readonly #trigger: string;

  constructor(argv: readonly string[], address: NbdAddress, name: string, trigger: string) {
    super(argv, address, name);
    this.#trigger = trigger;
  }

  /** From now on it answers with its error. */
  async fail(): Promise<void> {
    await writeFile(this.#trigger, '');
  }

  async heal(): Promise<void> {
    await rm(this.#trigger, { force: true });
  }

  override async stop(): Promise<void> {
    await super.stop();
    await this.heal();
  }
}

function accepts(address: NbdAddress): Promise<boolean> {
  const to = 'socket' in address ? { path: address.socket } : { host: '127.0.0.1', port: address.port };
  return new Promise((resolve) => {
    const socket = createConnection(to);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
