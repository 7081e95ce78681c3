// Looks at storage from preflight: with a deadline, and storage that misses it is refused, for QEMU would wait too.
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { type FileStat, type Host, quoteArgument } from '@blockferry/qemu';
import { messageOf, Refusal } from '../model/errors.ts';
import { isHang } from '../observe/hang.ts';

/** Storage that does not answer within this time is refused: QEMU, and the guest with it, would wait for it. */
export const ANSWER_WITHIN_MS = 5_000;

/** Passes on what a look at `path` finds. @throws Refusal `destination-silent` when it hung */
export async function answered<T>(path: string, look: Promise<T>): Promise<T> {
  try {
    return await look;
  } catch (error) {
    throw isHang(error) ? silent(path, messageOf(error)) : error;
  }
}

/** What stands at a path; null: nothing. @throws Refusal `destination-silent`, `bad-destination` */
export async function lookAt(host: Host, path: string): Promise<FileStat | null> {
  return answered(path, host.stat(path, { timeoutMs: ANSWER_WITHIN_MS }));
}

/** @throws Refusal `no-such-directory` unless a file can be made at this path */
export async function mustHaveDirectory(host: Host, path: string): Promise<void> {
  const parent = await lookAt(host, dirname(path));
  if (parent?.type === 'directory') return;
  const what = parent === null ? 'does not exist' : `is a ${parent.type}`;
  throw new Refusal(
    'no-such-directory',
    `${dirname(path)} ${what}`,
    { path: dirname(path) },
    `make it: mkdir -p ${quoteArgument(dirname(path))}`,
  );
}

/**
 * Writes to the storage of a path (an unlinked file beside it), or reads the device. The last of all looks: it
 * changes the directory's time.
 *
 * @throws Refusal `destination-silent`, `destination-unusable`
 */
export async function mustServe(host: Host, path: string): Promise<void> {
  const probe = await host.probeStorage(path, ANSWER_WITHIN_MS);
  if (probe.ok) return;
  if (probe.why === 'hang') throw silent(path, probe.detail);
  throw new Refusal('destination-unusable', `${path} cannot be used: ${probe.detail}`, { path });
}

// The file has no name any more when it is opened again: nothing is left, whatever happens.
const OPEN_DIRECTLY = `
exec 3> "$1" && rm -f -- "$1" && dd if=/dev/zero of=/dev/fd/3 oflag=direct bs=4096 count=1 status=none`;

/**
 * The copy is opened with the source's cache mode, which libvirt keeps; `none` and `directsync` need direct I/O.
 *
 * @throws Refusal `no-direct-io`
 */
export async function mustKnowDirectIo(host: Host, path: string, cache: string): Promise<void> {
  const probe = join(dirname(path), `.blockferry-${randomBytes(8).toString('hex')}.probe`);
  const argv = ['sh', '-c', OPEN_DIRECTLY, 'sh', probe];
  const { code, stderr } = await answered(path, host.run(argv, { timeoutMs: ANSWER_WITHIN_MS }));
  if (code === 0 || !/Invalid argument/.test(stderr)) return;
  throw new Refusal(
    'no-direct-io',
    `the disk has cache mode ${cache}, and the storage of ${path} knows no direct I/O`,
    { cache },
    'choose other storage, or change the mode: virsh edit, and a restart of the domain',
  );
}

export function silent(name: string, detail: string): Refusal {
  return new Refusal(
    'destination-silent',
    `the storage of ${name} does not answer`,
    { detail },
    'bring it back first: a guest that is switched onto storage that hangs stops',
  );
}
