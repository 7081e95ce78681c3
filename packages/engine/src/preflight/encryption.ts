// Encrypted disks: what was encrypted stays so. A mirror reads in plain, and would write so to a plain destination.
import { type DiskSource, describeSource } from '@blockferry/libvirt';
import { Refusal } from '../model/errors.ts';
import type { ImageRef, Scope } from '../model/record.ts';
import { unreachable } from '../model/units.ts';
import type { Destination } from './destination.ts';
import type { MoveRequest } from './request.ts';
import type { Situation } from './situation.ts';

/** Does the definition encrypt this image? */
export function isEncrypted({ source }: Pick<ImageRef, 'source'>): boolean {
  return source.encryption !== undefined;
}

/** Formats in which QEMU has no way to say "zeros" without writing them (block/vmdk.c, vdi.c, vhdx.c). */
const WRITE_ZEROES: readonly string[] = ['vmdk', 'vdi', 'vhdx'];

/** Zeros are written, and take room: as raw in LUKS each of them is encrypted. */
export function allocatesAll(image: ImageRef): boolean {
  return WRITE_ZEROES.includes(image.format) || (image.format === 'raw' && isEncrypted(image));
}

/** Bytes of a LUKS header as QEMU makes it, generously. */
export const LUKS_HEADER_BYTES = 16n << 20n;

/**
 * The destination, encrypted with the secret of the source: of its topmost image in scope that is encrypted at all.
 *
 * @throws Refusal `encrypted` where the copy would be plain, or nobody can make it otherwise
 */
export function withEncryption(
  situation: Situation,
  request: MoveRequest,
  destination: Destination,
): Destination {
  const { image, ownership } = destination;
  const name = describeSource(image.source);
  const wanted = encryptionInScope(situation, request.scope);
  if (isEncrypted(image)) {
    mustBeLuks(image.source, name);
    return destination;
  }
  if (wanted === undefined) return destination;
  const { target } = situation.disk;
  mustStayEncrypted(target, image.format, request);
  if (request.destinationXml !== undefined) {
    throw new Refusal(
      'encrypted',
      `${target} is encrypted, and ${name} as the XML describes it would hold its contents in plain`,
      {},
      `put this into its <source>: ${wanted}`,
    );
  }
  const encrypted = { ...destination, image: { ...image, source: { ...image.source, encryption: wanted } } };
  switch (ownership.kind) {
    case 'created':
    case 'reused':
      return encrypted;
    case 'volume':
      throw unmakable(target, `the volume ${name}`);
    case 'rbd-image':
      throw unmakable(target, name);
    default:
      return unreachable(ownership);
  }
}

/**
 * QEMU encrypts no cluster of a qcow2 that it compresses: written through its `compress` filter (block/filter-compress.c),
 * all of them were found in plain (seen with QEMU 7.2). qemu-img refuses it.
 */
function mustStayEncrypted(target: string, format: string, { copy }: Pick<MoveRequest, 'copy'>): void {
  const no = (why: string, hint: string) =>
    new Refusal('encrypted', `${target} is encrypted, and ${why}`, {}, hint);
  if (copy?.compressed === true) {
    throw no('QEMU writes compressed clusters in plain', 'leave --compress out');
  }
  if (!IN_LUKS.includes(format)) {
    throw no(`an image in ${format} would hold its contents in plain`, 'use --format qcow2, or raw');
  }
}

/** Formats that QEMU makes in LUKS. */
const IN_LUKS = ['qcow2', 'raw'];

/** The <encryption> element to be inherited; undefined: all images in scope are plain. */
function encryptionInScope({ disk, chain }: Situation, scope: Scope): string | undefined {
  const count = scope === 'shallow' ? 1 : Math.max(disk.chain.length, chain?.length ?? 0);
  let topmost: string | undefined;
  for (let depth = 0; depth < count; depth += 1) {
    const source = disk.chain[depth]?.source;
    const header = chain?.[depth]?.encryption ?? null;
    if (source?.encryption === undefined) {
      if (header === null) continue;
      throw new Refusal(
        'encrypted',
        `${disk.target} is encrypted (${header}), and its definition does not say so`,
      );
    }
    mustBeLuks(source, `${disk.target}: ${describeSource(source)}`);
    topmost ??= source.encryption;
  }
  return topmost;
}

/** QEMU's old qcow encryption is broken by design, and that of librbd is none that QEMU's mirror could set up. */
export function mustBeLuks({ encryption }: DiskSource, name: string): void {
  const [, attributes = ''] = /<encryption([^>]*)>/.exec(encryption ?? '') ?? [];
  const [format, engine] = ['format', 'engine'].map((key) => {
    return new RegExp(`\\b${key}=(['"])(.*?)\\1`).exec(attributes)?.[2];
  });
  if (format === 'luks' && (engine === undefined || engine === 'qemu')) return;
  const what = `${format ?? 'unknown'}${engine === undefined ? '' : ` by ${engine}`}`;
  throw new Refusal('encrypted', `${name} has encryption of a kind that cannot be moved: ${what}`, {
    format,
  });
}

function unmakable(target: string, name: string): Refusal {
  return new Refusal(
    'encrypted',
    `${target} is encrypted, and ${name} would be plain: only files are made encrypted`,
    {},
    'move to a file; or make an image with LUKS beforehand, of the same size inside, and give --reuse-external',
  );
}
