// A guest with a guest agent of our own making: the tiny guest, and over it another /init.
import { appendFile, copyFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';
import { type DiskSpec, diskXml } from './domain-xml.ts';

const built = fileURLToPath(new URL('../../../.cache/guest', import.meta.url));
const init = fileURLToPath(new URL('../../guest/agent-init', import.meta.url));

export type AgentGuest = {
  readonly name: string;
  readonly disks?: readonly DiskSpec[];
  /** What it does when it is to freeze the file systems: as told, nothing, or only after 3 s. Default `plain`. */
  readonly kind?: 'plain' | 'refuses' | 'slow';
};

/** The XML of a domain that boots it. Its agent is up a few seconds after the start. */
export async function agentDomainXml(
  host: LibvirtHost,
  { name, disks = [], kind = 'plain' }: AgentGuest,
): Promise<string> {
  const place = join(host.directory, 'guest');
  const root = join(place, `agent-root-${name}`);
  await mkdir(join(root, 'modules'), { recursive: true });
  await copyFile(init, join(root, 'init'));
  await run(['sh', '-c', moduleScript, 'sh', root]);
  const [kernel, initrd] = [join(place, `agent-${name}`), join(place, `agent-${name}.gz`)];
  await copyFile(join(built, 'kernel'), kernel);
  await copyFile(join(built, 'initrd.gz'), initrd);
  const more = join(place, `more-${name}`);
  const script = 'cd "$1" && find . | cpio --quiet -o -H newc | gzip > "$2"';
  await run(['sh', '-c', script, 'sh', root, more]);
  // The kernel unpacks one archive after the other: a later /init replaces an earlier one.
  await appendFile(initrd, await readFile(more));
  return `<domain type='qemu'><name>${name}</name><memory unit='MiB'>128</memory>
    <os><type arch='x86_64' machine='q35'>hvm</type><kernel>${kernel}</kernel><initrd>${initrd}</initrd>
    <cmdline>console=ttyS0 quiet panic=1 mitigations=off random.trust_cpu=on nomodeset no_timer_check bf.agent=${kind}</cmdline></os>
    <features><acpi/></features>
    <devices>
      ${disks.map(diskXml).join('\n      ')}
      <controller type='usb' model='none'/><memballoon model='none'/>
      <serial type='file'><source path='${agentLog(host, name)}'/></serial>
      <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    </devices></domain>`;
}

/** How often it has frozen and thawed its file systems, in order. */
export async function agentSaid(host: LibvirtHost, name: string): Promise<readonly ('frozen' | 'thawed')[]> {
  const log = await readFile(agentLog(host, name), 'utf8').catch(() => '');
  return [...log.matchAll(/@(frozen|thawed)/g)].map(([, word]) => word as 'frozen' | 'thawed');
}

function agentLog(host: LibvirtHost, name: string): string {
  return join(host.directory, 'log', `${name}.log`);
}

const moduleScript = `
  file=$(ls -v /lib/modules/*cloud*/kernel/drivers/char/virtio_console.ko* | tail -n 1)
  case $file in
    *.xz) xz -dc "$file" ;;
    *.zst) zstd -qdc "$file" ;;
    *) cat "$file" ;;
  esac > "$1/modules/virtio_console.ko"`;
