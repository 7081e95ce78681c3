// A domain's XML from a few lines: the tiny guest, its disks, and the log of its serial port.
import type { WriterPlan } from './blocks.ts';

export type DiskSource =
  /** An image file. */
  | { readonly path: string }
  /** A block device, or a file to be treated as one. */
  | { readonly device: string }
  /** A whole `<source …>` element, such as an NBD one, and the disk type it belongs to. */
  | { readonly type: 'network' | 'file' | 'block' | 'volume'; readonly xml: string };

export type DiskSpec = DiskSource & {
  /** The target dev: vda, sda … */
  readonly target: string;
  readonly format: 'qcow2' | 'raw';
  /** Default virtio. */
  readonly bus?: 'virtio' | 'scsi' | 'sata';
  /** More attributes of `<driver>`: cache, io, discard … */
  readonly driver?: Readonly<Record<string, string>>;
  /** More elements inside `<disk>`: `<shareable/>`, `<serial>…` */
  readonly extraXml?: string;
};

/** How a guest writes to one disk: what it writes, and how fast. */
export type GuestWriter = WriterPlan & {
  /** The disk's name in the guest: vda … */
  readonly disk: string;
  /** Blocks a second, or as fast as the disk takes them. */
  readonly rate: number | 'max';
  /** How many blocks it writes before each flush. */
  readonly batch: number;
  /** Whether it reads a slot before it overwrites it, and reports one that does not hold what it should. */
  readonly readback: boolean;
};

export type DomainSpec = {
  readonly name: string;
  readonly uuid?: string;
  readonly memoryMiB?: number;
  readonly disks: readonly DiskSpec[];
  readonly kernel: string;
  readonly initrd: string;
  readonly writers?: readonly GuestWriter[];
  /** More words for the kernel's command line. */
  readonly parameters?: readonly string[];
  readonly serialLog: string;
  /** What goes into `<metadata>`. */
  readonly metadata?: string;
  /** More elements inside `<devices>`. */
  readonly extraDevices?: string;
  /** `qemu` (TCG) unless the caller knows that KVM works: a /dev/kvm that libvirt reports may hang. */
  readonly type?: 'qemu' | 'kvm';
};

/**
 * With oops=panic a kernel that stumbles starts again, and its writer with it. Under TCG one does now and then after a live
 * migration: what an emulated processor stores in the moment in which its page is sent can be missing there.
 */
const quietKernel =
  'console=ttyS0 quiet oops=panic panic=1 mitigations=off random.trust_cpu=on nomodeset no_timer_check cryptomgr.notests';

export function escapeXml(text: string): string {
  return text.replace(/[&<>'"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

function attributes(all: Readonly<Record<string, string>>): string {
  return Object.entries(all)
    .map(([name, value]) => ` ${name}='${escapeXml(value)}'`)
    .join('');
}

function sourceXml(disk: DiskSpec): readonly [string, string] {
  if ('xml' in disk) return [disk.type, disk.xml];
  if ('device' in disk) return ['block', `<source dev='${escapeXml(disk.device)}'/>`];
  return ['file', `<source file='${escapeXml(disk.path)}'/>`];
}

/** The `<disk>` element of one disk. */
export function diskXml(disk: DiskSpec): string {
  const [type, source] = sourceXml(disk);
  return `<disk type='${type}' device='disk'>
      <driver name='qemu'${attributes({ type: disk.format, ...disk.driver })}/>
      ${source}
      <target dev='${disk.target}' bus='${disk.bus ?? 'virtio'}'/>${disk.extraXml ?? ''}
    </disk>`;
}

/** One writer as the guest's /init reads it from the kernel's command line. */
export function writerParameter(writer: GuestWriter): string {
  if (!/^[A-Za-z0-9]{1,16}$/.test(writer.run))
    throw new Error(`run ${writer.run}: 1 to 16 letters and digits`);
  const rate = writer.rate === 'max' ? 0 : writer.rate;
  const { disk, run, seed, offset, length, blockBytes, batch, readback } = writer;
  return `bf.writer=${[disk, run, seed, offset, length, blockBytes, rate, batch, readback ? 1 : 0].join(':')}`;
}

/** A kernel parameter that makes the guest with fio run it; fio's output goes to the serial port. */
export function fioParameter(fioArguments: readonly string[]): string {
  return `bf.fio=${Buffer.from(fioArguments.join(' ')).toString('base64')}`;
}

/** The XML of a domain that boots the tiny guest. */
export function domainXml(spec: DomainSpec): string {
  const words = [quietKernel, ...(spec.writers ?? []).map(writerParameter), ...(spec.parameters ?? [])];
  const scsi = spec.disks.some((disk) => disk.bus === 'scsi')
    ? "<controller type='scsi' model='virtio-scsi'/>"
    : '';
  return `<domain type='${spec.type ?? 'qemu'}'>
  <name>${escapeXml(spec.name)}</name>${spec.uuid === undefined ? '' : `\n  <uuid>${spec.uuid}</uuid>`}
  <metadata>${spec.metadata ?? ''}</metadata>
  <memory unit='MiB'>${spec.memoryMiB ?? 128}</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>${escapeXml(spec.kernel)}</kernel>
    <initrd>${escapeXml(spec.initrd)}</initrd>
    <cmdline>${escapeXml(words.join(' '))}</cmdline>
  </os>
  <features><acpi/></features>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    ${spec.disks.map(diskXml).join('\n    ')}
    ${scsi}
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='file'><source path='${escapeXml(spec.serialLog)}' append='on'/><target port='0'/></serial>
    ${spec.extraDevices ?? ''}
  </devices>
</domain>
`;
}
