// A domain's definition: read it, and change one disk's source without touching anything else in it.
import { type Element, XMLSerializer } from '@xmldom/xmldom';
import { type DiskDefinition, readDisk } from './disk-definition.ts';
import type { DiskSource } from './disk-source.ts';
import { attribute, child, childElements, parseXml, textOf, type XmlDocument } from './document.ts';
import { replaceDiskSource } from './edit-disk.ts';
import {
  asAnotherDomain,
  memoryOnFiles,
  withNvram,
  withoutDevices,
  withoutDisks,
  withoutMetadata,
} from './edit-domain.ts';
import { DomainXmlError } from './errors.ts';
import { type VolumePlace, withVolumesPlaced } from './place-volumes.ts';
import { treeOf, type XmlNode } from './tree.ts';
import type { Backing } from './write-source.ts';

/** Where the firmware of a domain keeps its variables. */
export interface NvramDefinition {
  /** Of a file; undefined: libvirt has not named one yet, or it is none. */
  readonly path?: string;
  /** What libvirt makes the file of when the domain starts without it. */
  readonly template?: string;
  /** A block device, or storage in the network. */
  readonly isElsewhere: boolean;
}

export interface TpmDefinition {
  /** `emulator` (swtpm), or what of the host the guest is given: `passthrough`, `external`. */
  readonly backend: string;
  /** The definition says where its state is (libvirt 10.10 and later); else libvirt has a place of its own for it. */
  readonly isPlaced: boolean;
  /** UUID of the libvirt secret that its state is encrypted with. */
  readonly secret?: string;
}

/**
 * A domain's XML. Until it is edited, `toString()` is the text it was parsed from, byte for byte; an edit changes
 * only the elements it names, so unknown elements, comments, namespaces and attribute order survive.
 */
export class DomainXml {
  #document: XmlDocument;
  #placeOf: VolumePlace = () => undefined;

  private constructor(document: XmlDocument) {
    this.#document = document;
  }

  /**
   * @throws DomainXmlError `malformed` when the text is not well-formed or not a <domain> with a name, `doctype`
   *   when it carries a DOCTYPE.
   */
  static parse(xml: string): DomainXml {
    const document = parseXml(xml);
    if (document.root.tagName !== 'domain') {
      throw new DomainXmlError('malformed', `expected <domain>, found <${document.root.tagName}>`);
    }
    if (textOf(child(document.root, 'name')) === undefined) {
      throw new DomainXmlError('malformed', 'the <domain> has no <name>');
    }
    return new DomainXml(document);
  }

  toString(): string {
    return this.#document.text;
  }

  get name(): string {
    return textOf(child(this.#document.root, 'name')) ?? '';
  }

  /** Undefined in XML that libvirt has not seen yet; libvirt then makes one. */
  get uuid(): string | undefined {
    return textOf(child(this.#document.root, 'uuid'))?.trim();
  }

  /** The hypervisor type: `qemu`, `kvm`. */
  get type(): string {
    return attribute(this.#document.root, 'type') ?? '';
  }

  /** Path of the firmware's variable store. Undefining the domain may delete it, see virDomainUndefineFlags. */
  get osNvram(): string | undefined {
    return this.nvram?.path;
  }

  get nvram(): NvramDefinition | undefined {
    const nvram = child(this.#document.root, 'os', 'nvram');
    if (nvram === undefined) return undefined;
    const path = attribute(child(nvram, 'source'), 'file') ?? textOf(nvram)?.trim();
    const template = attribute(nvram, 'template');
    return {
      ...(path && { path }),
      ...(template !== undefined && { template }),
      isElsewhere: (attribute(nvram, 'type') ?? 'file') !== 'file',
    };
  }

  tpms(): TpmDefinition[] {
    const devices = child(this.#document.root, 'devices');
    const backends = devices === undefined ? [] : childElements(devices, 'tpm');
    return backends.map((tpm) => {
      const backend = child(tpm, 'backend');
      const secret = attribute(child(backend, 'encryption'), 'secret');
      const isPlaced = child(backend, 'source') !== undefined;
      return { backend: attribute(backend, 'type') ?? '', isPlaced, ...(secret !== undefined && { secret }) };
    });
  }

  /** An element right below the root (`devices`, `os`, `cpu`), with all that is in it. */
  part(name: string): XmlNode | undefined {
    const found = child(this.#document.root, name);
    return found && treeOf(found);
  }

  /** Has it memory that keeps what the guest writes in a file (NVDIMM, virtio-pmem)? */
  get hasMemoryOnFiles(): boolean {
    return memoryOnFiles(this.#document.root).length > 0;
  }

  get emulator(): string | undefined {
    return textOf(child(this.#document.root, 'devices', 'emulator'));
  }

  /** Does the guest's agent answer to libvirt? Only the live definition tells. */
  get agentConnected(): boolean {
    const devices = child(this.#document.root, 'devices');
    const channels = devices === undefined ? [] : childElements(devices, 'channel');
    return channels.some((channel) => {
      const target = child(channel, 'target');
      const isAgent = attribute(target, 'name') === 'org.qemu.guest_agent.0';
      return isAgent && attribute(target, 'state') === 'connected';
    });
  }

  /** Every disk, in the order of the XML, drives without a medium included. */
  disks(): DiskDefinition[] {
    return this.#diskElements().map((disk) => this.#read(disk));
  }

  /** The disk with this target dev (`vda`). */
  disk(target: string): DiskDefinition | undefined {
    const element = this.#findDisk(target);
    return element && this.#read(element);
  }

  /** From now on `disks()` and `disk()` tell the place of a volume instead of its name. The text is as it was. */
  placeVolumes(placeOf: VolumePlace): void {
    this.#placeOf = placeOf;
  }

  /**
   * Points a disk at another image: replaces the disk's `type`, its <source> and its driver's `type`, and drops
   * what described the old image only (<backingStore>, <mirror>, <auth> and <encryption> beside the source, and
   * the driver's <metadata_cache> unless the new format is qcow2, the only one libvirt allows it for).
   * Everything else of the disk stays, the old source's startupPolicy included unless `source` has its own.
   *
   * @param backing what the image is backed by, where libvirt cannot find that out by itself (images in LUKS)
   * @throws DomainXmlError `no-such-disk`, `ambiguous`, or `unrepresentable` for a path XML cannot carry; the
   *   definition is then unchanged.
   */
  setDiskSource(target: string, source: DiskSource, format: string, backing?: Backing): void {
    const element = this.#findDisk(target);
    if (element === undefined) {
      throw new DomainXmlError('no-such-disk', `the domain ${this.name} has no disk ${target}`, {
        domain: this.name,
        target,
      });
    }
    this.#document = parseXml(replaceDiskSource(this.#document, element, source, format, backing));
  }

  /**
   * The child of <metadata> in this namespace, serialised so that it stands alone (as virDomainGetMetadata does).
   */
  metadataElement(namespaceUri: string): string | undefined {
    const metadata = child(this.#document.root, 'metadata');
    if (metadata === undefined) return undefined;
    const found = childElements(metadata).find((one) => one.namespaceURI === namespaceUri);
    return found && new XMLSerializer().serializeToString(found);
  }

  /** Removes the children of <metadata> whose namespace is one of those. */
  removeMetadata(isOne: (namespaceUri: string) => boolean): void {
    this.#document = parseXml(withoutMetadata(this.#document, isOne));
  }

  /** Takes the disk with this target dev out of it; one that is not there is none. */
  removeDisk(target: string): void {
    this.#document = parseXml(withoutDisks(this.#document, (one) => one === target));
  }

  /** Takes all devices of this kind (`hostdev`) out of it. */
  removeDevices(kind: string): void {
    this.#document = parseXml(withoutDevices(this.#document, kind));
  }

  /** Makes it the definition of a domain that is not there yet: another name and UUID, and no MAC or generation id. */
  becomeAnother(name: string, uuid: string): void {
    this.#document = parseXml(asAnotherDomain(this.#document, name, uuid));
  }

  /** Puts the firmware's variables elsewhere, if it has any. @throws DomainXmlError `unrepresentable` */
  setNvram(path: string): void {
    this.#document = parseXml(withNvram(this.#document, path));
  }

  #diskElements(): Element[] {
    const devices = child(this.#document.root, 'devices');
    return devices === undefined ? [] : childElements(devices, 'disk');
  }

  #read(disk: Element): DiskDefinition {
    return withVolumesPlaced(readDisk(this.#document, disk), this.#placeOf);
  }

  #findDisk(target: string): Element | undefined {
    return this.#diskElements().find((disk) => attribute(child(disk, 'target'), 'dev') === target);
  }
}
