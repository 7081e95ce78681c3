// QMP over a unix socket of this machine.
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { QmpClient, type QmpOptions } from './client.ts';
import { QmpConnectionError } from './errors.ts';

/** Connects to a QMP server's socket. Throws QmpConnectionError. */
export async function connectQmp(path: string, options: QmpOptions = {}): Promise<QmpClient> {
  const socket = createConnection(path);
  try {
    await once(socket, 'connect', options.signal ? { signal: options.signal } : {});
  } catch (error) {
    socket.destroy();
    const detail = error instanceof Error ? error.message : String(error);
    throw new QmpConnectionError('ended', detail, { cause: error });
  }
  return QmpClient.connect(socket, options);
}
