// A libvirt daemon's TLS socket: certificates on both sides, and one byte of welcome before RPC begins.
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import type { TlsPlan } from '../uri/transport-plan.ts';
import { connecting } from './connecting.ts';
import { TransportFailed } from './failed.ts';
import type { Transport } from './transport.ts';
import { socketTransport } from './unix.ts';

/**
 * Connects to a daemon's TLS port (raw TLS, no STARTTLS) and waits until the daemon has accepted us: it checks our
 * certificate only after the handshake and then sends the byte 1, or closes without a word
 * (virnetclient.c, virNetClientSetTLSSession).
 *
 * @throws TransportFailed when a certificate file cannot be read, the daemon's certificate is not from our
 * authority or not for this host, or ours is not accepted; the signal's reason when it aborts first.
 */
export async function connectTls(plan: TlsPlan, options: { signal?: AbortSignal } = {}): Promise<Transport> {
  const { signal } = options;
  const description = `TLS socket ${plan.host}:${plan.port}`;
  const credentials = await readCredentials(plan, description);
  signal?.throwIfAborted();
  const socket = connect({
    host: plan.host,
    port: plan.port,
    // A literal address has no name to indicate (RFC 6066, section 3).
    ...(isIP(plan.host) === 0 ? { servername: plan.host } : {}),
    rejectUnauthorized: plan.verify,
    secureContext: contextOf(plan, description, credentials),
  });
  socket.setNoDelay(true);
  explained(socket, plan);
  return await connecting(socket, description, signal, (succeed) => {
    afterWelcome(socket, () => succeed(socketTransport(socket, description)));
    return plan.files.identity === undefined
      ? `closed by the daemon; this client has no certificate to show (looked beside ${plan.files.ca})`
      : `closed by the daemon, which may not accept the certificate ${plan.files.identity.certificate}`;
  });
}

/** A file that is none of its kind, or a key that is not the certificate's. @throws TransportFailed */
function contextOf({ files }: TlsPlan, description: string, credentials: ConnectionOptions): SecureContext {
  try {
    return createSecureContext(credentials);
  } catch (cause) {
    const { ca, crl, identity } = files;
    const used = [...(credentials.ca ? [ca] : []), ...(credentials.crl && crl ? [crl] : [])];
    const names = [...used, ...(identity ? [identity.certificate, identity.key] : [])].join(', ');
    throw new TransportFailed(description, `cannot use ${names}: ${reasonOf(cause)}`, { cause });
  }
}

/** OpenSSL's messages are long, and Node's advise Node. */
function explained(socket: TLSSocket, { files }: TlsPlan): void {
  socket.prependListener('error', (error: Error) => {
    error.message = reasonOf(error).replace(/; if the root CA .*/, ` (by ${files.ca})`);
  });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'reason' in error && 'library' in error ? `TLS: ${error.reason}` : error.message;
}

// Nothing but the first byte is taken: RPC may follow it in the same record.
function afterWelcome(socket: TLSSocket, welcomed: () => void): void {
  const onReadable = () => {
    const byte: Buffer | null = socket.read(1);
    if (byte === null) return;
    socket.off('readable', onReadable);
    if (byte[0] === 1) welcomed();
    else socket.destroy(new Error('the far side is not a libvirt daemon'));
  };
  socket.on('readable', onReadable);
}

async function readCredentials(plan: TlsPlan, description: string): Promise<ConnectionOptions> {
  const read = async (path: string): Promise<Buffer> => {
    try {
      return await readFile(path);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new TransportFailed(description, `cannot read ${path}: ${reason}`, { cause });
    }
  };
  const { ca, crl, identity } = plan.files;
  return {
    // Without verification the authority's certificate need not even exist.
    ...(plan.verify ? { ca: await read(ca) } : {}),
    ...(plan.verify && crl !== undefined ? { crl: await read(crl) } : {}),
    ...(identity === undefined
      ? {}
      : { cert: await read(identity.certificate), key: await read(identity.key) }),
  };
}
