// Work on whole files that takes as long as the storage takes: copied and flushed by the host's own programs.
import { FileError, type Host } from '@blockferry/qemu';

/** Copies a file over whatever is there, holes as holes. Torn by a crash. @throws FileError, HostError */
export async function copyFile(host: Host, from: string, to: string, signal: AbortSignal): Promise<void> {
  await runOn(host, 'copy', from, ['cp', '--sparse=always', '-T', '--', from, to], signal);
}

/** Returns when what was written to these files and directories is on their storage (fsync). @throws FileError, HostError */
export async function flush(
  host: Host,
  paths: readonly [string, ...string[]],
  signal: AbortSignal,
): Promise<void> {
  await runOn(host, 'flush', paths[0], ['sync', '--', ...paths], signal);
}

/** A program of the host that handles these files, to its end. @throws FileError when it fails; HostError */
export async function runOn(
  host: Host,
  operation: string,
  path: string,
  argv: readonly string[],
  signal: AbortSignal,
  input?: Buffer,
): Promise<void> {
  const timeoutMs = Number.POSITIVE_INFINITY;
  const options = { signal, timeoutMs, ...(input !== undefined && { input }) };
  const { code, stderr } = await host.run(argv, options);
  if (code === 0) return;
  const detail = stderr.trim();
  const errno = /No space left/.test(detail) ? 'ENOSPC' : 'other';
  throw new FileError({ code: errno, host: host.name, operation, path, detail });
}
