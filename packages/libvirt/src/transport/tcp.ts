// A libvirt daemon's TCP socket: no encryption, and usable here only where the server asks for no authentication.
import { createConnection } from 'node:net';
import { connecting } from './connecting.ts';
import type { Transport } from './transport.ts';
import { socketTransport } from './unix.ts';

/**
 * Connects to `host`:`port`, unencrypted. SASL, libvirtd's default there, is refused later, when the daemon is
 * asked how it authenticates (AuthenticationUnsupported).
 *
 * @throws TransportFailed when nothing listens there, and the signal's reason when it aborts first.
 */
export async function connectTcp(
  host: string,
  port: number,
  options: { signal?: AbortSignal } = {},
): Promise<Transport> {
  options.signal?.throwIfAborted();
  const description = `TCP socket ${host}:${port}`;
  const socket = createConnection({ host, port, noDelay: true });
  return await connecting(socket, description, options.signal, (succeed) => {
    socket.once('connect', () => succeed(socketTransport(socket, description)));
    return 'closed before it was connected';
  });
}
