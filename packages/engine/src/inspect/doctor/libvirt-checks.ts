// Is the daemon there, new enough, and one of QEMU's?
import {
  AuthenticationUnsupported,
  type Connection,
  ErrorCode,
  isLibvirtError,
  TransportFailed,
} from '@blockferry/libvirt';
import { messageOf } from '../../model/errors.ts';
import type { Link } from '../../run/link.ts';
import { type Check, missing, ok, warning } from './check.ts';

/** libvirt counts major * 1 000 000 + minor * 1 000 + release. */
const TRANSIENT_JOB = 3_005_000n;
const SYNCHRONOUS_WRITES = 8_000_000n;
/** Since 4.2 libvirt drives QEMU's disks as nodes, whose mirrors this program was made for. */
const QEMU_WITH_NODES = 4_002_000n;

export async function connects(
  link: Link,
): Promise<{ readonly check: Check; readonly connection: Connection | undefined }> {
  const title = 'connection';
  try {
    const connection = await link.connection();
    return { check: ok('connection', title, await connection.uriOnServer()), connection };
  } catch (error) {
    return { check: missing('connection', title, messageOf(error), remedyFor(error)), connection: undefined };
  }
}

function remedyFor(error: unknown): string {
  const words = messageOf(error);
  if (/EACCES|permission denied/i.test(words)) {
    return 'run it as root, or let this user in: usermod -aG libvirt USER, then log in again';
  }
  if (/ENOENT|ECONNREFUSED/.test(words)) {
    return 'start the daemon: systemctl start libvirtd (or virtqemud.socket); or name another one with -c URI';
  }
  if (error instanceof AuthenticationUnsupported) {
    return 'connect as root, over ssh, or with certificates (TLS)';
  }
  if (error instanceof TransportFailed)
    return 'check the URI given with -c, and that the host can be reached';
  if (isLibvirtError(error, ErrorCode.AUTH_FAILED) || isLibvirtError(error, ErrorCode.AUTH_UNAVAILABLE)) {
    return 'run it as root, or let this user in: usermod -aG libvirt USER, then log in again';
  }
  return 'check the URI given with -c: virsh -c URI version';
}

export async function libvirtChecks(connection: Connection): Promise<Check[]> {
  const [type, libvirt] = await Promise.all([connection.type(), connection.libVersion()]);
  if (type !== 'QEMU') {
    const remedy = 'name a QEMU connection: -c qemu:///system';
    return [missing('driver', 'hypervisor', type, remedy)];
  }
  const qemu = await connection.version().catch((error: unknown) => messageOf(error));
  return [libvirtVersion(libvirt), qemuVersion(qemu)];
}

function libvirtVersion(version: bigint): Check {
  const found = formatVersion(version);
  if (version < TRANSIENT_JOB) {
    const remedy =
      'persistent domains are made transient for the copy; libvirt 3.5 or later needs no such thing';
    return warning('libvirt-version', 'libvirt', found, remedy);
  }
  if (version < SYNCHRONOUS_WRITES) {
    const remedy = '--synchronous-writes and --converge need libvirt 8.0';
    return warning('libvirt-version', 'libvirt', found, remedy);
  }
  return ok('libvirt-version', 'libvirt', found);
}

function qemuVersion(version: bigint | string): Check {
  const remedy = 'install QEMU 4.2 or later on the host: apt install qemu-system-x86';
  if (typeof version === 'string') return missing('qemu-version', 'QEMU', version, remedy);
  if (version < QEMU_WITH_NODES) return warning('qemu-version', 'QEMU', formatVersion(version), remedy);
  return ok('qemu-version', 'QEMU', formatVersion(version));
}

function formatVersion(version: bigint): string {
  return `${version / 1_000_000n}.${(version / 1_000n) % 1_000n}.${version % 1_000n}`;
}
