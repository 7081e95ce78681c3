// Which file systems of a disk are looked at, by what libguestfs found on it. Pure.
import { Refusal } from '../model/errors.ts';

export interface FileSystem {
  /** As libguestfs names it: `/dev/sda1`, `/dev/vg/root`, `btrfsvol:/dev/sda2/root`. */
  readonly device: string;
  /** `ext4`; `swap`, `unknown` and empty where there is nothing to mount. */
  readonly type: string;
}

export interface Mount {
  readonly device: string;
  readonly at: string;
}

/** Lines such as `/dev/sda1: ext4`. */
export function parseFileSystems(text: string): FileSystem[] {
  return linesOf(text).map((line) => {
    const at = line.lastIndexOf(': ');
    return at < 0 ? { device: line, type: '' } : { device: line.slice(0, at), type: line.slice(at + 2) };
  });
}

/** Lines such as `/boot: /dev/sda1`; the ones above others first, as they have to be mounted. */
export function parseMountpoints(text: string): Mount[] {
  const mounts = linesOf(text).flatMap((line) => {
    const [, at, device] = /^(\/.*): ((?:\/dev\/|[a-z]+:).*)$/.exec(line) ?? [];
    return at === undefined || device === undefined ? [] : [{ at, device }];
  });
  return mounts.sort((a, b) => a.at.length - b.at.length);
}

/** The operating systems that were found, each by the device of its root. */
export function parseRoots(text: string): string[] {
  return linesOf(text);
}

/**
 * Where there is no operating system, or somebody names what to mount.
 *
 * @param wanted as named by the operator
 * @throws Refusal `no-such-file-system`, `no-file-system`, `which-file-system`
 */
export function chooseFileSystem(found: readonly FileSystem[], wanted: string | undefined): Mount {
  const usable = found.filter(({ type }) => !['', 'swap', 'unknown'].includes(type));
  const names = usable.map(({ device, type }) => `${device} (${type})`).join(', ');
  if (wanted !== undefined) {
    if (found.some(({ device }) => device === wanted)) return { device: wanted, at: '/' };
    const hint = names === '' ? undefined : `there are: ${names}`;
    throw new Refusal('no-such-file-system', `there is no file system ${wanted}`, {}, hint);
  }
  const [only, ...more] = usable;
  if (only === undefined) {
    const hint = 'what is encrypted inside, or made of several disks, cannot be looked at';
    throw new Refusal('no-file-system', 'there is no file system that can be mounted', {}, hint);
  }
  if (more.length === 0) return { device: only.device, at: '/' };
  throw new Refusal(
    'which-file-system',
    `there is no operating system, and more than one file system: ${names}`,
    {},
    `say which: --mount ${only.device}`,
  );
}

/** @throws Refusal `which-file-system` for more than one */
export function onlyRoot(roots: readonly string[]): string | undefined {
  const [root, ...more] = roots;
  if (more.length === 0) return root;
  throw new Refusal(
    'which-file-system',
    `there are ${roots.length} operating systems, with their roots on ${roots.join(', ')}`,
    {},
    `say which: --mount ${root}`,
  );
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
