// SHA-256 of files, reckoned on their host: their bytes go through no JavaScript, and none over the wire.
import { FileError, type Host } from '@blockferry/qemu';
import type { Bytes } from '../model/units.ts';

// dd reads past the page cache, for what was just written must be on the storage, and tells how far it is, on stdout;
// the sum goes to stderr. Storage without direct I/O is read through the cache. openssl uses the processor's own
// instructions where it has them (1.5 GB/s); coreutils 9.1, as Debian builds it, does not (0.35 GB/s).
export const DIGEST = `
export LC_ALL=C
if command -v openssl >/dev/null; then digest='openssl dgst -sha256 -r'; else digest=sha256sum; fi`;

const SUM = `
${DIGEST}
sum() { { dd if="$1" bs=4M $2 status=progress 2>&3 | $digest >&2; } 3>&1; }
dd if="$1" of=/dev/null bs=4096 count=1 iflag=direct status=none 2>/dev/null && sum "$1" iflag=direct || sum "$1" ''`;

const READ = /(\d+) bytes?/g;
const RESULT = /^([0-9a-f]{64}) [ *]/m;

export interface Sum {
  readonly sha256: string;
  readonly size: Bytes;
}

/**
 * Reads a file whole. May be repeated.
 *
 * @param onRead told how many bytes of it have been read so far
 * @throws FileError when it cannot be read to its end; HostError, which the signal also causes
 */
export async function sha256Of(
  host: Host,
  path: string,
  { signal, onRead = () => {} }: { readonly signal: AbortSignal; readonly onRead?: (bytes: Bytes) => void },
): Promise<Sum> {
  const stat = await host.stat(path, { signal });
  if (stat === null) throw failed(host, path, 'ENOENT', 'No such file or directory');
  const { stdout, stderr } = await host.run(['/bin/sh', '-c', SUM, 'sh', path], {
    signal,
    timeoutMs: Number.POSITIVE_INFINITY,
    onStdout: (text) => {
      const read = lastRead(text);
      if (read !== undefined) onRead(read);
    },
  });
  const sha256 = RESULT.exec(stderr)?.[1];
  // A pipe does not tell that its first part failed: half a file has a sum as well.
  if (sha256 === undefined || lastRead(stdout) !== stat.size) {
    const words = /dd: (.*)/.exec(stdout)?.[1] ?? stderr.trim();
    throw failed(host, path, 'EIO', words || 'it could not be read to its end');
  }
  return { sha256, size: stat.size };
}

/** Of its first bytes. @throws FileError when it has less; HostError */
export async function sha256OfHead(host: Host, path: string, bytes: Bytes): Promise<string> {
  const script = `${DIGEST}\nhead -c "$2" -- "$1" | $digest`;
  const { stdout, stderr } = await host.run(['/bin/sh', '-c', script, 'sh', path, String(bytes)]);
  const sha256 = RESULT.exec(stdout)?.[1];
  if (sha256 === undefined || stderr !== '') throw failed(host, path, 'EIO', stderr.trim());
  return sha256;
}

function lastRead(text: string): Bytes | undefined {
  const last = [...text.matchAll(READ)].at(-1)?.[1];
  return last === undefined ? undefined : BigInt(last);
}

function failed(host: Host, path: string, code: 'ENOENT' | 'EIO', detail: string): FileError {
  return new FileError({ code, host: host.name, operation: 'read', path, detail });
}
