// The daemons' configuration files of one throw-away host.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

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
