// A guest with a guest agent of our own making: the testbed's guest, and over it another /init.

import { appendFile, copyFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type LibvirtHost, run } from '@blockferry/testbed';

const built = fileURLToPath(new URL('../../../../.cache/guest', import.meta.url));
const init = fileURLToPath(new URL('init', import.meta.url));

/** The XML of a domain that boots it. Its agent is up a few seconds after the start. */
export async function agentDomainXml(host: LibvirtHost, name: string): Promise<string> {
  const place = join(host.directory, 'guest');
  const root = join(place, 'agent-root');
  await mkdir(join(root, 'modules'), { recursive: true });
  await copyFile(init, join(root, 'init'));
  await run(['sh', '-c', moduleScript, 'sh', root]);
  const [kernel, initrd] = [join(place, 'vmlinuz'), join(place, 'agent-initrd.gz')];
  await copyFile(join(built, 'vmlinuz'), kernel);
  await copyFile(join(built, 'initrd.gz'), initrd);
  await run([
    'sh',
    '-c',
    'cd "$1" && find . | cpio --quiet -o -H newc | gzip > "$2"',
    'sh',
    root,
    `${place}/more`,
  ]);
  // The kernel unpacks one archive after the other: a later /init replaces an earlier one.
  await appendFile(initrd, await readFile(join(place, 'more')));
  const log = join(host.directory, 'log', `${name}.log`);
  return `<domain type='qemu'><name>${name}</name><memory unit='MiB'>128</memory>
    <os><type arch='x86_64' machine='q35'>hvm</type><kernel>${kernel}</kernel><initrd>${initrd}</initrd>
    <cmdline>console=ttyS0 quiet panic=1 mitigations=off random.trust_cpu=on nomodeset no_timer_check</cmdline></os>
    <features><acpi/></features>
    <devices>
      <controller type='usb' model='none'/><memballoon model='none'/>
      <serial type='file'><source path='${log}'/></serial>
      <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    </devices></domain>`;
}

const moduleScript = `
  file=$(ls -v /lib/modules/*cloud*/kernel/drivers/char/virtio_console.ko* | tail -n 1)
  case $file in
    *.xz) xz -dc "$file" ;;
    *.zst) zstd -qdc "$file" ;;
    *) cat "$file" ;;
  esac > "$1/modules/virtio_console.ko"`;
