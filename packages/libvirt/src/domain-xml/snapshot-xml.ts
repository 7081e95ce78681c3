// The metadata that libvirt keeps of a snapshot: which images it names, and the same text with other images in it.
import type { Element } from '@xmldom/xmldom';
import type { DiskSource } from './disk-source.ts';
import { attribute, child, childElements, parseXml, textOf, type XmlDocument } from './document.ts';
import { formatOf, type HolderKind, imageEdits } from './edit-image.ts';
import { applyEdits } from './edits.ts';
import { DomainXmlError } from './errors.ts';
import { present, readSource } from './read-source.ts';

export type SnapshotImage = {
  /** The target dev of the disk that it belongs to. */
  readonly target: string;
  /**
   * `overlay`: made by the snapshot, or by a revert to it. `definition`: the active image in a definition that a revert
   * would bring back. `backing`: below that, where the definition spells it out.
   */
  readonly named: 'overlay' | 'definition' | 'backing';
  readonly source: DiskSource;
  readonly format?: string | undefined;
};

/** How a snapshot keeps a disk's state: `internal`, `external`, `manual` (by other means), `no`. */
export type SnapshotMode = string;

type Holder = { readonly element: Element; readonly kind: HolderKind; readonly image: SnapshotImage };

/**
 * The XML of one snapshot as virDomainSnapshotGetXMLDesc gives it and virDomainSnapshotCreateXML takes it with
 * REDEFINE. Ask for it with its secrets (VIR_DOMAIN_SNAPSHOT_XML_SECURE): redefined without them, they are lost.
 */
export class SnapshotXml {
  readonly #document: XmlDocument;

  private constructor(document: XmlDocument) {
    this.#document = document;
  }

  /** @throws DomainXmlError `malformed` when it is no <domainsnapshot> with a name, `doctype` */
  static parse(xml: string): SnapshotXml {
    const document = parseXml(xml);
    if (document.root.tagName !== 'domainsnapshot') {
      throw new DomainXmlError('malformed', `expected <domainsnapshot>, found <${document.root.tagName}>`);
    }
    if (textOf(child(document.root, 'name')) === undefined) {
      throw new DomainXmlError('malformed', 'the <domainsnapshot> has no <name>');
    }
    return new SnapshotXml(document);
  }

  toString(): string {
    return this.#document.text;
  }

  get name(): string {
    return textOf(child(this.#document.root, 'name')) ?? '';
  }

  /** The name of the snapshot it was taken on top of; undefined for a root. */
  get parent(): string | undefined {
    return textOf(child(this.#document.root, 'parent', 'name'));
  }

  /** How the snapshot keeps a disk; undefined where it does not say, as very old ones. */
  modeOf(target: string): SnapshotMode | undefined {
    const disks = child(this.#document.root, 'disks');
    const disk = disks && childElements(disks, 'disk').find((one) => attribute(one, 'name') === target);
    return attribute(disk, 'snapshot');
  }

  /** Every place that names an image, in the order of the text; an image may be named several times. */
  images(): SnapshotImage[] {
    return this.#holders().map(({ image }) => image);
  }

  /**
   * The text with another image in each place for which `by` has one. Everything else stays, byte for byte.
   *
   * @throws DomainXmlError `ambiguous`, or `unrepresentable` for a path XML cannot carry
   */
  withImages(
    by: (image: SnapshotImage) => { readonly source: DiskSource; readonly format: string } | undefined,
  ): string {
    const edits = this.#holders().flatMap(({ element, kind, image }) => {
      const other = by(image);
      return other === undefined ? [] : imageEdits(this.#document, element, kind, other.source, other.format);
    });
    return applyEdits(this.#document.text, edits);
  }

  #holders(): Holder[] {
    const { root } = this.#document;
    // libvirt 9.9 and later keep in <revertdisks> what a revert to the snapshot made.
    const overlays = ['disks', 'revertdisks'].flatMap((name) => this.#disksIn(child(root, name)));
    const defined = ['domain', 'inactiveDomain'].flatMap((name) =>
      this.#disksIn(child(root, name, 'devices')),
    );
    return [
      ...overlays.flatMap((disk) => this.#holder(disk, 'overlay', attribute(disk, 'name') ?? '')),
      ...defined.flatMap((disk) => this.#chain(disk)),
    ];
  }

  #disksIn(holder: Element | undefined): Element[] {
    return holder === undefined ? [] : childElements(holder, 'disk');
  }

  #chain(disk: Element): Holder[] {
    const target = attribute(child(disk, 'target'), 'dev') ?? '';
    const found = this.#holder(disk, 'disk', target);
    for (let at = child(disk, 'backingStore'); at !== undefined; at = child(at, 'backingStore')) {
      found.push(...this.#holder(at, 'backing', target));
    }
    return found;
  }

  #holder(element: Element, kind: HolderKind, target: string): Holder[] {
    const source = readSource(this.#document, element);
    if (source === undefined) return [];
    const named: SnapshotImage['named'] = kind === 'disk' ? 'definition' : kind;
    const image = { target, named, source, ...present({ format: formatOf(element, kind) }) };
    return [{ element, kind, image }];
  }
}
