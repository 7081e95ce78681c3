// What an image is, so that a journal of it is never believed of another one.
import { FileError, formatLocation, type Host, type Image } from '@blockferry/qemu';

/** Facts of a file or device; of a network image only its name. All texts, as the journal keeps them. */
export interface Identity {
  readonly name: string;
  /** Where the kernel has it. Not compared: NFS, btrfs and device-mapper number theirs anew at a boot. */
  readonly device?: string;
  readonly inode?: string;
  /** Bytes. */
  readonly size?: string;
  readonly mtimeNs?: string;
  /** SHA-256 of its first 64 KiB: for qcow2 the header, with the default cluster size the whole of its cluster. */
  readonly head?: string;
}

const HEAD_BYTES = 64 * 1024;

/** What must not change of a source. @throws FileError, HostError */
export async function sourceIdentity(host: Host, image: Image, signal?: AbortSignal): Promise<Identity> {
  const { location } = image;
  if (location.kind !== 'file' && location.kind !== 'block') return glance(host, image, signal);
  const head = await hashOfHead(host, location.path, signal ? { signal } : {});
  return { ...(await glance(host, image, signal)), head };
}

/** The same as far as one cheap look tells. @throws FileError, HostError */
export async function glance(host: Host, image: Image, signal?: AbortSignal): Promise<Identity> {
  const { location } = image;
  const name = formatLocation(location);
  if (location.kind !== 'file' && location.kind !== 'block') return { name };
  const limits = signal ? { signal } : {};
  const { type, device, inode, size, mtimeNs } = await statOf(host, location.path, limits);
  if (type === 'block') return { name, size: String(await host.blockDeviceSize(location.path, limits)) };
  const facts = { device: String(device), inode: String(inode) };
  return { name, ...facts, size: String(size), mtimeNs: String(mtimeNs) };
}

/** What must not change of a destination while we fill it. @throws FileError if it is not there; HostError */
export async function destinationIdentity(host: Host, image: Image, signal?: AbortSignal): Promise<Identity> {
  const { location } = image;
  const name = formatLocation(location);
  if (location.kind !== 'file' && location.kind !== 'block') return { name };
  const stat = await statOf(host, location.path, signal ? { signal } : {});
  if (stat.type === 'block') return { name, size: String(await host.blockDeviceSize(location.path)) };
  return { name, device: String(stat.device), inode: String(stat.inode) };
}

/** In which facts they differ, for people; none if they are the same. After a glance there is no head to compare. */
export function differences(side: string, then: Identity, now: Identity): string[] {
  const compared = (['name', 'inode', 'size', 'mtimeNs', 'head'] as const).filter(
    (fact) => fact !== 'head' || now.head !== undefined,
  );
  return compared
    .filter((fact) => then[fact] !== now[fact])
    .map((fact) => `${side} ${fact} was ${then[fact] ?? 'unknown'}, is ${now[fact] ?? 'unknown'}`);
}

async function statOf(host: Host, path: string, limits: { signal?: AbortSignal }) {
  const stat = await host.stat(path, limits);
  if (stat) return stat;
  const facts = { host: host.name, operation: 'stat', path, detail: 'No such file or directory' };
  throw new FileError({ code: 'ENOENT', ...facts });
}

async function hashOfHead(host: Host, path: string, limits: { signal?: AbortSignal }): Promise<string> {
  const script = 'head -c "$2" -- "$1" | sha256sum';
  const argv = ['/bin/sh', '-c', script, 'sh', path, String(HEAD_BYTES)];
  const { stdout, stderr } = await host.run(argv, limits);
  const hash = /^[0-9a-f]{64}/.exec(stdout)?.[0];
  // The pipe hides head's status: what it had to say tells.
  if (hash !== undefined && stderr === '') return hash;
  const detail = stderr.trim() || 'sha256sum said nothing';
  throw new FileError({ code: 'other', host: host.name, operation: 'read', path, detail });
}
