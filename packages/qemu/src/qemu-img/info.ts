// `qemu-img info`: what one image's header says. The backing chain is not opened.
import type { Host } from '../host/host.ts';
import { toJsonFilename } from '../image/blockdev.ts';
import type { Image } from '../image/location.ts';
import { type ExactJson, isJsonObject, type JsonObject } from '../json/exact-json.ts';
import { type Call, invoke, parseObject, type QuickOptions, quickLimits } from './invoke.ts';

export interface PersistentBitmap {
  readonly name: string;
  /** Bytes for each bit. */
  readonly granularity: bigint;
  /** 'in-use' (not closed cleanly: worthless), 'auto' (recording). */
  readonly flags: readonly string[];
}

export interface InternalSnapshot {
  readonly id: string;
  readonly name: string;
  /** Bytes of guest memory saved with it; 0 for a disk-only one. */
  readonly vmStateSize: bigint;
}

export interface ImageInfo {
  readonly format: string;
  /** Bytes that a guest sees. Raw lengths are rounded up to 512. */
  readonly virtualSize: bigint;
  /** Bytes that the storage has allocated to the image; null where QEMU cannot tell (NBD). */
  readonly allocated: bigint | null;
  readonly clusterSize: bigint | null;
  /** As the header has it. */
  readonly backing: { readonly reference: string; readonly format: string | null } | null;
  /** 'luks' or 'aes'; null if its data is plain. */
  readonly encryption: string | null;
  readonly snapshots: readonly InternalSnapshot[];
  readonly bitmaps: readonly PersistentBitmap[];
  /** Not closed cleanly (lazy refcounts); QEMU repairs it when it opens it for writing. */
  readonly dirty: boolean;
  /** QEMU marked it corrupt: it opens it for reading only until `check -r` has been run. */
  readonly corrupt: boolean;
  /** Qcow2 whose clusters are in another file. */
  readonly dataFile: { readonly reference: string; readonly raw: boolean } | null;
  /** Qcow2: '0.10' or '1.1'. */
  readonly compat: string | null;
  readonly extendedL2: boolean;
  readonly lazyRefcounts: boolean;
  readonly refcountBits: number | null;
  readonly compressionType: string | null;
}

/**
 * Reads an image's header with its declared format. Works while a guest has the image open (`-U`); then what the
 * header says may be behind what QEMU has in memory. Throws QemuImgError, HostError.
 */
export async function info(host: Host, image: Image, options?: QuickOptions): Promise<ImageInfo> {
  // "backing" is left out: info opens no backing files, and null would hide the reference from some versions.
  const name = toJsonFilename(image, { ownBacking: true });
  const call: Call = {
    verb: 'info',
    images: [image],
    args: ['--output=json', '-U', name],
    limits: quickLimits(options),
  };
  const { stdout } = await invoke(host, call);
  return parseInfo(parseObject(call, stdout), image.format);
}

/** From qemu-img's object (qapi/block-core.json, ImageInfo) to ours. */
function parseInfo(object: JsonObject, format: string): ImageInfo {
  const specific = object['format-specific'];
  const data = isJsonObject(specific) && isJsonObject(specific.data) ? specific.data : {};
  const dataFile = textOrNull(data['data-file']);
  const reference = textOrNull(object['backing-filename']);
  return {
    format,
    virtualSize: bigOrNull(object['virtual-size']) ?? 0n,
    allocated: bigOrNull(object['actual-size']),
    clusterSize: bigOrNull(object['cluster-size']),
    backing: reference === null ? null : { reference, format: textOrNull(object['backing-filename-format']) },
    encryption: encryptionOf(object, data, format),
    snapshots: objectsOf(object.snapshots).map(parseSnapshot),
    bitmaps: objectsOf(data.bitmaps).map(parseBitmap),
    dirty: object['dirty-flag'] === true,
    corrupt: data.corrupt === true,
    dataFile: dataFile === null ? null : { reference: dataFile, raw: data['data-file-raw'] === true },
    compat: textOrNull(data.compat),
    extendedL2: data['extended-l2'] === true,
    lazyRefcounts: data['lazy-refcounts'] === true,
    refcountBits: data['refcount-bits'] === undefined ? null : Number(data['refcount-bits']),
    compressionType: textOrNull(data['compression-type']),
  };
}

function encryptionOf(object: JsonObject, data: JsonObject, format: string): string | null {
  if (format === 'luks') return 'luks';
  if (isJsonObject(data.encrypt)) return textOrNull(data.encrypt.format) ?? 'luks';
  return object.encrypted === true ? 'aes' : null;
}

function parseSnapshot(snapshot: JsonObject): InternalSnapshot {
  return {
    id: textOrNull(snapshot.id) ?? '',
    name: textOrNull(snapshot.name) ?? '',
    vmStateSize: bigOrNull(snapshot['vm-state-size']) ?? 0n,
  };
}

function parseBitmap(bitmap: JsonObject): PersistentBitmap {
  const flags = Array.isArray(bitmap.flags) ? (bitmap.flags as readonly ExactJson[]) : [];
  return {
    name: textOrNull(bitmap.name) ?? '',
    granularity: bigOrNull(bitmap.granularity) ?? 0n,
    flags: flags.filter((flag) => typeof flag === 'string'),
  };
}

function objectsOf(value: ExactJson | undefined): JsonObject[] {
  return Array.isArray(value) ? (value as readonly ExactJson[]).filter(isJsonObject) : [];
}

const textOrNull = (value: ExactJson | undefined): string | null =>
  typeof value === 'string' ? value : null;
const bigOrNull = (value: ExactJson | undefined): bigint | null => (typeof value === 'bigint' ? value : null);
