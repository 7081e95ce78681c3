// Waiting for a network socket to be of use, with one way to fail.
import type { Socket } from 'node:net';
import { TransportFailed } from './failed.ts';

/**
 * Resolves with what `watch`, which sets its own listeners, calls `succeed` with. Until then an error of the socket,
 * its end or the signal rejects, and the socket is destroyed. `watch` returns the words for a plain end.
 *
 * @throws TransportFailed, or the signal's reason.
 */
export function connecting<T>(
  socket: Socket,
  description: string,
  signal: AbortSignal | undefined,
  watch: (succeed: (value: T) => void) => string,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      signal?.removeEventListener('abort', onAbort);
      socket.off('error', onError);
      socket.off('close', onClose);
    };
    const fail = (reason: unknown) => {
      settle();
      // What goes wrong while it closes is no news, and an error without a listener would end the process.
      socket.on('error', () => {});
      socket.destroy();
      reject(reason);
    };
    const onAbort = () => fail(signal?.reason);
    const onError = (cause: Error) => fail(new TransportFailed(description, words(cause), { cause }));
    const onClose = () => fail(new TransportFailed(description, closed));
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('close', onClose);
    const closed = watch((value) => {
      settle();
      resolve(value);
    });
  });
}

// A host with several addresses fails with one error for all, whose own message is empty.
function words(error: Error): string {
  if (error instanceof AggregateError)
    return error.errors.map((one) => String(one?.message ?? one)).join('; ');
  return error.message;
}
