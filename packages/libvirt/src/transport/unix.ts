// A libvirt daemon's unix socket as a transport.

import { createConnection, type Socket } from 'node:net';
import { TransportFailed } from './failed.ts';
import type { Transport, TransportEnd } from './transport.ts';

/**
 * Connects to the unix socket at `path`.
 *
 * @throws TransportFailed when nothing listens there or we may not connect (`cause` carries the errno), and
 * the signal's reason when it aborts first. Nothing is left open then; calling again is safe.
 */
export function connectUnix(path: string, options: { signal?: AbortSignal } = {}): Promise<Transport> {
  const description = `unix socket ${path}`;
  const { signal } = options;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const socket = createConnection({ path });
    const settle = () => {
      signal?.removeEventListener('abort', onAbort);
      socket.off('error', onError);
    };
    const onAbort = () => {
      settle();
      socket.destroy();
      reject(signal?.reason);
    };
    const onError = (error: Error) => {
      settle();
      reject(new TransportFailed(description, error.message, { cause: error }));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('connect', () => {
      settle();
      resolve(socketTransport(socket, description));
    });
  });
}

/** Wraps a connected socket; also serves tests that bring their own pair of sockets. */
export function socketTransport(socket: Socket, description: string): Transport {
  const ended = new Promise<TransportEnd>((resolve) => {
    let failure: Error | undefined;
    socket.on('error', (error) => {
      failure = error;
    });
    socket.once('close', () => {
      resolve(failure === undefined ? { detail: '' } : { detail: failure.message, error: failure });
    });
  });
  return { stream: socket, description, ended, close: () => void socket.destroy() };
}
