// The edit of one place that names an image, wherever it stands: a <disk> of a domain, a <disk> of a snapshot, a
// <backingStore>. Puts another image there and leaves everything that does not belong to the old one.
import type { Element } from '@xmldom/xmldom';
import type { DiskSource, StorageSlice } from './disk-source.ts';
import { attribute, child, childElements, type XmlDocument } from './document.ts';
import { driverEdits, keepStartupPolicy } from './edit-disk.ts';
import {
  type Edit,
  insertionBefore,
  onlyChild,
  removal,
  renameAttribute,
  replacement,
  setAttribute,
} from './edits.ts';
import { DomainXmlError } from './errors.ts';
import { element } from './escape.ts';
import { readSource } from './read-source.ts';
import { sourceElement, sourceType } from './write-source.ts';

/** What names an image: `disk` of a domain, `overlay` of a snapshot, `backing` below another image. */
export type HolderKind = 'disk' | 'overlay' | 'backing';

/**
 * The edits that put `source` with `format` into `holder`. From file or device to file or device only the path
 * changes, so that labels, encryption and whatever else the <source> holds stay. Otherwise the <source> is written
 * anew; secrets of the image's own encryption stay, for a copy of its bytes is encrypted too.
 *
 * @throws DomainXmlError `ambiguous`, or `unrepresentable` for a path XML cannot carry
 */
export function imageEdits(
  document: XmlDocument,
  holder: Element,
  kind: HolderKind,
  source: DiskSource,
  format: string,
): Edit[] {
  const type = sourceType(source);
  return [
    ...((attribute(holder, 'type') ?? 'file') === type ? [] : [setAttribute(document, holder, 'type', type)]),
    ...sourceEdits(document, holder, source),
    ...formatEdits(document, holder, kind, format),
  ];
}

const PATHS: Readonly<Record<string, string>> = { file: 'file', block: 'dev' };

function sourceEdits(document: XmlDocument, holder: Element, source: DiskSource): Edit[] {
  const old = readSource(document, holder);
  const written = onlyChild(holder, 'source');
  if (old === undefined || written === undefined) {
    throw new DomainXmlError('malformed', 'there is no image to be replaced');
  }
  const [from, to] = [PATHS[old.kind], PATHS[source.kind]];
  if (from !== undefined && to !== undefined && 'path' in source && sameSlices(old, source)) {
    return [renameAttribute(document, written, from, to, source.path)];
  }
  const anew = sourceElement(keepStartupPolicy(holder, keepEncryption(old, source)));
  // What stood beside the old <source> in the old way is inside the new one, or belonged to the old place.
  const beside = ['auth', 'encryption'].flatMap((name) => childElements(holder, name));
  return [replacement(document, written, anew), ...beside.map((one) => removal(document, one))];
}

function keepEncryption(old: DiskSource, source: DiskSource): DiskSource {
  if (old.kind === 'other' || source.kind === 'other') return source;
  const encryption = source.encryption ?? old.encryption;
  return encryption === undefined ? source : { ...source, encryption };
}

function sameSlices(a: DiskSource, b: DiskSource): boolean {
  const slices = (of: DiskSource): readonly StorageSlice[] => (of.kind === 'other' ? [] : (of.slices ?? []));
  const [left, right] = [slices(a), slices(b)];
  return (
    left.length === right.length &&
    left.every(({ offset, size }, at) => offset === right[at]?.offset && size === right[at]?.size)
  );
}

function formatEdits(document: XmlDocument, holder: Element, kind: HolderKind, format: string): Edit[] {
  if (formatOf(holder, kind) === format) return [];
  if (kind === 'disk') return driverEdits(document, holder, format);
  const name = kind === 'overlay' ? 'driver' : 'format';
  const said = onlyChild(holder, name);
  if (said !== undefined) return [setAttribute(document, said, 'type', format)];
  const before = child(holder, 'source');
  return before === undefined ? [] : [insertionBefore(document, before, element(name, { type: format }))];
}

/** The format that a holder declares for its image. */
export function formatOf(holder: Element, kind: HolderKind): string | undefined {
  return attribute(child(holder, kind === 'backing' ? 'format' : 'driver'), 'type');
}
