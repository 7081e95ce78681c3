// The daemons' configuration files of one throw-away host.
import { randomInt } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type HostConfiguration = {
  readonly uuid: string;
  readonly libvirtdConf?: readonly string[];
  readonly qemuConf?: readonly string[];
};

/** Writes libvirtd.conf, qemu.conf and virtlogd.conf below `etc`, which the host sees as /etc/libvirt. */
export async function writeConfiguration(etc: string, configuration: HostConfiguration): Promise<void> {
  const files: Readonly<Record<string, readonly string[]>> = {
    'libvirtd.conf': [
      `host_uuid = "${configuration.uuid}"`,
      'auth_unix_ro = "none"',
      'auth_unix_rw = "none"',
      'unix_sock_group = "root"',
      'log_outputs = "3:file:/var/log/libvirt/libvirtd.log"',
      ...(configuration.libvirtdConf ?? []),
    ],
    'qemu.conf': [
      // Two hosts would make the same cgroup for two domains of the same name.
      'cgroup_controllers = [ ]',
      'security_driver = "none"',
      ...migrationPorts(),
      ...(configuration.qemuConf ?? []),
    ],
    // The guest's report must not be rotated away while a test reads it.
    'virtlogd.conf': ['max_size = 0', 'log_outputs = "3:file:/var/log/libvirt/virtlogd.log"'],
  };
  await mkdir(join(etc, 'qemu'), { recursive: true });
  for (const [name, lines] of Object.entries(files)) {
    await writeFile(join(etc, name), `${lines.join('\n')}\n`);
  }
}

/** libvirt looks for a free port in its own namespace of processes only: two hosts that receive would take the same one. */
function migrationPorts(): readonly string[] {
  const first = 10_000 + 32 * randomInt(600);
  return [`migration_port_min = ${first}`, `migration_port_max = ${first + 31}`];
}

const savedCapabilities = fileURLToPath(new URL('../../../.cache/qemu-capabilities', import.meta.url));
const capabilitiesBelow = (cache: string) => join(cache, 'qemu', 'capabilities');

/**
 * Gives a new host what an earlier one found out about QEMU, which takes libvirtd more than a second. libvirtd checks
 * by itself whether it still holds (version and time of QEMU, kernel, CPU, KVM) and asks anew if not.
 */
export async function restoreCapabilities(cache: string): Promise<void> {
  await mkdir(join(cache, 'qemu'), { recursive: true });
  await cp(savedCapabilities, capabilitiesBelow(cache), { recursive: true, force: true }).catch(() => {
    // Nobody has saved them yet.
  });
}

async function known(directory: string): Promise<string> {
  const names = await readdir(directory).catch(() => []);
  const files = await Promise.all(
    names.map((name) => readFile(join(directory, name), 'utf8').catch(() => '')),
  );
  return files.join();
}

/** Saves what this host found out, unless it is there already. */
export async function saveCapabilities(cache: string): Promise<void> {
  if ((await known(savedCapabilities)) === (await known(capabilitiesBelow(cache)))) return;
  const incoming = `${savedCapabilities}.${process.pid}`;
  await cp(capabilitiesBelow(cache), incoming, { recursive: true });
  await rm(savedCapabilities, { recursive: true, force: true });
  await rename(incoming, savedCapabilities).catch(() => rm(incoming, { recursive: true, force: true }));
}
