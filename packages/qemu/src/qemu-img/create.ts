// `qemu-img create`: new, empty images.
import { FileError } from '../host/errors.ts';
import type { Host } from '../host/host.ts';
import { toJsonFilename } from '../image/blockdev.ts';
import type { Image } from '../image/location.ts';
import { toCreatableName } from '../image/uri.ts';
import { QemuImgError } from './errors.ts';
import { invoke, type QuickOptions, quickLimits } from './invoke.ts';

export interface CreateOptions extends QuickOptions {
  /** The backing file: an image (written as an absolute reference), or a reference in your own words with its format. */
  readonly backing?: Image | { readonly reference: string; readonly format: string };
  /** The format's own options: cluster_size, preallocation, compat, extended_l2, lazy_refcounts… */
  readonly formatOptions?: Readonly<Record<string, string | number | bigint | boolean>>;
  /** Replace the file that is there. Default: QemuImgError 'exists', and nothing is touched. */
  readonly overwrite?: boolean;
  /** Permission bits of a new file; default 0o600. */
  readonly mode?: number;
}

/**
 * Creates an image of `virtualSize` bytes; in LUKS if it has a passphrase (qcow2, luks). The backing file is not opened, so it need not exist yet. On an existing
 * device or export it writes the format's header. A crash can leave an empty or unfinished file behind, so the same
 * call without `overwrite` is refused then.
 */
export async function create(
  host: Host,
  image: Image,
  virtualSize: bigint,
  options: CreateOptions = {},
): Promise<void> {
  const { location, format } = image;
  const name = toCreatableName(location);
  if (name === null || image.offset !== undefined || image.size !== undefined) {
    throw new TypeError('qemu-img cannot create an image there');
  }
  if (location.kind === 'file' && !options.overwrite) await reserve(host, image, location.path, options);
  const formatOptions = { ...options.formatOptions, ...encryptionOptions(image) };
  const args = [
    ...['-q', '-f', format, ...backingArguments(options.backing)],
    ...(Object.keys(formatOptions).length === 0 ? [] : ['-o', optionList(formatOptions)]),
    ...['--', name, String(virtualSize)],
  ];
  await invoke(host, { verb: 'create', images: [image], args, limits: quickLimits(options) });
}

function encryptionOptions({ format, passphrase }: Image): Record<string, string> {
  if (passphrase === undefined) return {};
  if (format === 'luks') return { 'key-secret': passphrase.objectId };
  return { 'encrypt.format': 'luks', 'encrypt.key-secret': passphrase.objectId };
}

/** Takes the name atomically: qemu-img itself would truncate whatever is there. */
async function reserve(host: Host, image: Image, path: string, options: CreateOptions): Promise<void> {
  try {
    await host.createExclusive(path, { ...quickLimits(options), mode: options.mode ?? 0o600 });
  } catch (error) {
    if (!(error instanceof FileError) || error.code !== 'EEXIST') throw error;
    const hint = 'Remove it if you know that nothing needs it, or choose another name.';
    throw new QemuImgError({
      operation: 'create',
      location: image.location,
      stderr: 'there is a file already',
      code: 'exists',
      hint,
    });
  }
}

function backingArguments(backing: CreateOptions['backing']): string[] {
  if (!backing) return [];
  const { format } = backing;
  return ['-u', '-b', 'reference' in backing ? backing.reference : toReference(backing), '-F', format];
}

/** The reference to an image that can stand in a header: its path or URI where there is one, else `json:{…}`. */
export function toReference(image: Image): string {
  const plain = image.offset === undefined && image.size === undefined;
  return (plain ? toCreatableName(image.location) : null) ?? toJsonFilename(image, { ownBacking: true });
}

/** `a=1,b=2` with commas in values doubled (QemuOpts). */
export function optionList(options: Readonly<Record<string, string | number | bigint | boolean>>): string {
  return Object.entries(options)
    .map(([key, value]) => {
      const text = typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value);
      return `${key}=${text.replaceAll(',', ',,')}`;
    })
    .join(',');
}
