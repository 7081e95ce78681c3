// Can we run what we need on the machine of the domains, and reach their images?
import type { Connection } from '@blockferry/libvirt';
import { type Host, HostError } from '@blockferry/qemu';
import { messageOf } from '../../model/errors.ts';
import { readDefinition } from '../../observe/volumes.ts';
import { type Check, missing, ok, warning } from './check.ts';

const QUICK_MS = 10_000;

interface Tool {
  readonly name: string;
  readonly argv: readonly string[];
  /** Debian's and Fedora's names for it. */
  readonly packages: string;
  /** What is lost without it; undefined: nothing can be moved. */
  readonly without: string | undefined;
}

const TOOLS: readonly Tool[] = [
  {
    name: 'qemu-img',
    argv: ['qemu-img', '--version'],
    packages: 'qemu-utils (qemu-img)',
    without: undefined,
  },
  {
    name: 'qemu-storage-daemon',
    argv: ['qemu-storage-daemon', '--version'],
    packages: 'qemu-system-common (qemu-storage-daemon)',
    without: 'nothing is copied in layers: no chain in its shape, no image, no backup, no migration',
  },
  { name: 'coreutils', argv: ['stat', '--version'], packages: 'coreutils', without: undefined },
];

export async function hostChecks(host: Host | undefined): Promise<Check[]> {
  if (host === undefined) {
    const remedy = 'use qemu+ssh:// instead, so that chains, free space and destinations can be looked at';
    return [warning('host', 'tools on the host', 'this connection gives no way to run them', remedy)];
  }
  try {
    const { stdout } = await host.run(['id', '-un'], { timeoutMs: QUICK_MS });
    const checks = await Promise.all(TOOLS.map((tool) => hasTool(host, tool)));
    return [ok('host', 'host', `${host.name}, as ${stdout.trim()}`), ...checks];
  } catch (error) {
    const remedy = host.isLocal
      ? 'install coreutils; is it in PATH?'
      : `try it by hand: ssh ${host.name} true`;
    return [missing('host', 'host', messageOf(error), remedy)];
  }
}

async function hasTool(host: Host, { name, argv, packages, without }: Tool): Promise<Check> {
  const id = `tool-${name}`;
  const found = await host.run(argv, { timeoutMs: QUICK_MS }).then(
    ({ code, stdout }) => (code === 0 ? (stdout.split('\n')[0] ?? '') : undefined),
    (error: unknown) => {
      // That it cannot be asked for says nothing of it.
      if (error instanceof HostError && error.code !== 'not-found') throw error;
      return undefined;
    },
  );
  if (found !== undefined) return ok(id, name, /\d+(\.\d+)+.*/.exec(found)?.[0] ?? found);
  const remedy = `install it on ${host.name}: ${packages}`;
  return without === undefined
    ? missing(id, name, 'not there', remedy)
    : warning(id, name, `not there: ${without}`, remedy);
}

/** Every running domain's active images can be read, as preflight will. */
export async function imageChecks(connection: Connection, host: Host): Promise<Check> {
  const [id, title] = ['images', 'images can be read'];
  const unreadable: string[] = [];
  let readable = 0;
  for (const domain of await connection.listAllDomains()) {
    const xml = await domain
      .getXmlDesc()
      .then((text) => readDefinition(connection, text))
      .catch(() => undefined);
    for (const disk of xml?.disks() ?? []) {
      if (disk.source?.kind !== 'file' || disk.device !== 'disk') continue;
      const { path } = disk.source;
      if (await host.access(path, 'r').catch(() => false)) readable += 1;
      else unreadable.push(path);
    }
  }
  const [first] = unreadable;
  if (first === undefined) return ok(id, title, readable === 0 ? 'there are none' : `all ${readable}`);
  const more = unreadable.length > 1 ? ` and ${unreadable.length - 1} more` : '';
  const remedy =
    'run it as root, or connect as root: qemu+ssh://root@HOST/system; a file that is gone is a broken domain';
  return warning(id, title, `not ${first}${more}`, remedy);
}

/** What confines QEMU must let it open destinations: libvirt adds each to the domain's own profile or label. */
export async function confinementCheck(connection: Connection, host: Host | undefined): Promise<Check> {
  const [id, title] = ['confinement', 'AppArmor, SELinux'];
  const models = [...(await connection.capabilities()).matchAll(/<secmodel>\s*<model>(\w+)<\/model>/g)].map(
    ([, model]) => model,
  );
  if (models.includes('apparmor')) return appArmor(id, title, host);
  if (models.includes('selinux'))
    return ok(id, title, 'SELinux confines QEMU; libvirt labels each destination');
  return ok(id, title, 'QEMU is not confined');
}

/** libvirt has a helper write the profiles, and may itself read only what that helper's profile allows. */
const HELPERS = ['/usr/lib/libvirt/virt-aa-helper', '/usr/libexec/virt-aa-helper'];

async function appArmor(id: string, title: string, host: Host | undefined): Promise<Check> {
  const found = 'AppArmor confines QEMU; libvirt adds each destination to the profile';
  if (host === undefined) return ok(id, title, found);
  for (const path of HELPERS)
    if ((await host.stat(path).catch(() => null)) !== null) return ok(id, title, found);
  const remedy = 'install virt-aa-helper: apt install libvirt-daemon-system';
  return warning(
    id,
    title,
    'AppArmor confines QEMU, and the helper that opens destinations is not there',
    remedy,
  );
}
