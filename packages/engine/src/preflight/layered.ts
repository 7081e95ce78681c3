// What strategy `layered` needs besides: an image to copy for each that is there, and names for all that it makes.
import { basename, dirname, join } from 'node:path';
import { diskElement } from '@blockferry/libvirt';
import type { ChainImage } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { ImageRef, Layer, LayeredPart, MoveRecord } from '../model/record.ts';
import type { Bytes } from '../model/units.ts';
import { backingOfAll, labelledLike, lockedLike, refAt } from '../storage/chain-refs.ts';
import { toRef } from '../storage/to-image.ts';
import { cannotBeCopiedBytewise } from './bytewise.ts';
import type { Destination } from './destination.ts';
import { mustBeDistinct, mustHaveShortNames } from './names.ts';
import { cannotHoldLayers, carrierBeside, holdsChain, oneLayer } from './one-image.ts';
import { checkBesideSource, checkOverlayDirectory, overlayAt } from './overlay-directory.ts';
import type { MoveRequest } from './request.ts';
import { mustBeFree, withoutShared } from './shared-bases.ts';
import type { Situation } from './situation.ts';
import { mustHaveStorageDaemon } from './storage-daemon.ts';

/** Synchronous writes, by which the last mirror ends whatever the guest writes. */
const SYNCHRONOUS_WRITES_SINCE = 8_000_000n;

/** A mirror of no more than this is over before the layers would be frozen. */
const WORTH_FREEZING: Bytes = 256n << 20n;

export interface Choice {
  readonly strategy: MoveRecord['strategy'];
  readonly why: string;
}

/** What `--strategy auto` means for this disk. Pure. */
export function chooseStrategy(situation: Situation, request: MoveRequest, bytes: Bytes): Choice {
  if (request.strategy !== 'auto') return { strategy: request.strategy, why: 'asked for' };
  if (!situation.definitions.running) return { strategy: 'layered', why: 'the domain is off' };
  const against = cannotBeLayered(situation, request);
  const [top] = situation.chain ?? [];
  if (request.scope !== 'flatten' && against === undefined && (top?.snapshots.length ?? 0) > 0) {
    return { strategy: 'layered', why: 'it keeps the snapshots inside the image' };
  }
  if (request.scope === 'shallow') return { strategy: 'mirror', why: 'one image over a chain that stays' };
  const images = situation.chain?.length ?? 1;
  if (request.scope === 'chain' && images > 1) {
    return { strategy: 'layered', why: 'it keeps the shape of the chain' };
  }
  if (against !== undefined) return { strategy: 'mirror', why: against.message };
  if (bytes <= WORTH_FREEZING) return { strategy: 'mirror', why: 'there is little to copy' };
  return { strategy: 'layered', why: 'it is verified, and goes on after a restart of QEMU' };
}

/** The strategy as it was chosen for the disk, unless the destination is none for it and the choice is ours. Pure. */
export function suitDestination(
  choice: Choice,
  situation: Situation,
  request: MoveRequest,
  destination: Destination,
): Choice {
  if (request.strategy !== 'auto') return choice;
  const against = cannotHoldLayers(situation, request, destination);
  if (choice.strategy === 'mirror') {
    const { ownership } = destination;
    const isInPool = ownership.kind === 'created' && ownership.pool !== undefined;
    const isFit = (against ?? makesItsFiles(request) ?? cannotBeLayered(situation, request)) === undefined;
    if (!isInPool || !situation.disk.encrypted || request.format !== undefined || !isFit) return choice;
    return { strategy: 'layered', why: 'libvirt makes no volume in LUKS for a mirror' };
  }
  return against === undefined ? choice : { strategy: 'mirror', why: against.message };
}

/** Of a copy there is no other way. */
const TOLD = "libvirt tells a secret that is defined with private='no' and named by its UUID";

/** Why this disk cannot be moved in layers; undefined: it can. */
export function cannotBeLayered(situation: Situation, request: MoveRequest): Refusal | undefined {
  const { host, chain, disk, libVersion } = situation;
  const no = (code: string, why: string, hint?: string) => new Refusal(code, why, {}, hint);
  if (host === undefined || chain === undefined) {
    const why = 'strategy layered runs tools on the host, and this connection gives no way to';
    const ssh = 'use a connection over ssh';
    return no('no-host', why, request.copy === undefined ? `${ssh}, or --strategy mirror` : ssh);
  }
  const isChain = request.scope === 'chain' && chain.length > 1;
  // Which keeps the shape of no chain.
  const moved = `use --strategy mirror${isChain ? ', with --shallow or --flatten' : ''}`;
  const mirror = request.copy === undefined ? moved : undefined;
  // Only a switch needs that.
  if (request.copy === undefined && (libVersion < SYNCHRONOUS_WRITES_SINCE || request.undefine)) {
    const why = request.undefine ? ', which undefines no domain' : '';
    return no('libvirt-too-old', `strategy layered needs libvirt 8.0 on the host${why}`, mirror);
  }
  const made = makesItsFiles(request, mirror);
  if (made !== undefined) return made;
  if (disk.source?.kind !== 'file' || chain.some(({ image }) => image.location.kind !== 'file')) {
    return no('not-files', `${disk.target} is not made of files only`, mirror);
  }
  // Seen with QEMU 7.2: after the switch, it does not find the carrier's base "in this backing file chain".
  if (request.copy === undefined && situation.definitions.running && disk.driver.copyOnRead === 'on') {
    return no(
      'copy-on-read',
      `${disk.target} has copy_on_read, and QEMU commits nothing after a mirror of such a disk`,
      mirror,
    );
  }
  const unfit = cannotBeCopiedBytewise(situation, request);
  if (unfit !== undefined) return no('unsupported-format', unfit, mirror);
  const secret = cannotKeepSecret(situation, request);
  if (secret === undefined) return undefined;
  return no('encrypted', secret, mirror ?? (situation.secretsTold ? undefined : TOLD));
}

/** Why layers do not go into an image that is there, whatever it is. */
export function makesItsFiles(
  { reuseExternal, destinationXml }: Pick<MoveRequest, 'reuseExternal' | 'destinationXml'>,
  hint = 'use --strategy mirror',
): Refusal | undefined {
  if (!reuseExternal && destinationXml === undefined) return undefined;
  return new Refusal('layered-makes-files', 'strategy layered makes its files itself', {}, hint);
}

/**
 * Copies of LUKS images have the same header, and open with the same secret. But the overlay and the carrier hold what
 * the guest writes, and a copy of the contents all of it, so we make them with the secret of the active image; qemu-img
 * relinks and commits only what it can open. Undefined: nothing is encrypted, or all of that can be done.
 */
export function cannotKeepSecret(
  { disk, chain, secretsTold }: Situation,
  { scope, copy }: Pick<MoveRequest, 'scope' | 'copy'>,
): string | undefined {
  const isLocked = (at: number) => disk.chain[at]?.source.encryption !== undefined;
  const locked = chain?.filter(({ encryption }) => encryption !== null) ?? [];
  if (!disk.encrypted && locked.length === 0) return undefined;
  if (scope === 'flatten' && copy === undefined) {
    return `${disk.target} is encrypted, and strategy layered moves such images only byte for byte`;
  }
  if (!secretsTold) {
    return `${disk.target} is encrypted, and libvirt does not tell its secret, which is needed for what is put over its images`;
  }
  if (!isLocked(0)) {
    return `${disk.target} is encrypted, but not its active image, and what is put over it would be neither`;
  }
  const unnamed = chain?.some(({ encryption }, at) => encryption !== null && !isLocked(at)) ?? false;
  return unnamed ? `${disk.target} is encrypted, and its definition does not name the secret` : undefined;
}

/** @throws Refusal; nothing is touched */
export async function layeredPartOf(
  situation: Situation,
  request: MoveRequest,
  destination: Destination,
  id: string,
): Promise<LayeredPart> {
  const against = cannotBeLayered(situation, request);
  if (against !== undefined) throw against;
  const { host, chain } = situation;
  const [top] = chain ?? [];
  const { source } = destination.image;
  if (host === undefined || chain === undefined || top === undefined) throw new Error('checked above');
  const all = holdsChain(destination)
    ? layersOf(situation, chain, request, destination.image)
    : oneLayer(situation, destination);
  mustBeDistinct(all);
  await mustHaveStorageDaemon(host, request.copy === undefined ? '; or use --strategy mirror' : '');
  const from = refAt(situation, top, 0).source;
  if (from.kind !== 'file') throw new Error('checked above');
  const overlay = overlayAt(from.path, request, id, host.isLocal ? process.cwd() : undefined);
  const carrier =
    source.kind === 'file'
      ? labelledLike(source, lockedLike(source, carrierOver(source.path, id)))
      : carrierBeside(overlay, from.path, id);
  mustHaveShortNames({ layers: all, overlay, carrier });
  const { layers, shared } =
    request.copy === undefined ? await withoutShared(host, all, request.verify) : { layers: all, shared: [] };
  for (const layer of layers) await mustBeFree(host, layer, request.verify);
  const part: LayeredPart = {
    layers,
    ...(shared.length > 0 && { shared }),
    overlay: labelledLike(source, lockedLike(from, overlay)),
    carrier,
    verify: request.verify,
    ...(request.guard !== undefined && { guard: request.guard }),
  };
  if (request.overlayDirectory === undefined) await checkBesideSource(host, part.overlay);
  else await checkOverlayDirectory(host, situation, part.overlay);
  return part;
}

function carrierOver(path: string, id: string): ImageRef {
  return { source: { kind: 'file', path: `${path}.${id}.carrier` }, format: 'qcow2' };
}

/**
 * libvirt is given the carrier, once there is one. What is below it libvirt finds in the headers, which do not name
 * secrets: a chain in LUKS it is told. So it is of a destination that is no file (see backingToTell).
 */
export function carrierXml({ disk, chain }: Situation, { scope }: MoveRequest, part: LayeredPart): string {
  const { carrier, layers, shared = [] } = part;
  const { source, format } = carrier;
  const isFile = layers[0].to.source.kind === 'file';
  if (!disk.encrypted && isFile) return diskElement(source, format);
  const copies = [...layers.map(({ to }) => to), ...shared];
  const below =
    scope === 'shallow' ? (chain ?? []).slice(1).map((each, at) => refAt({ disk }, each, at + 1)) : [];
  return diskElement(source, format, { backing: backingOfAll([...copies, ...below]) });
}

function layersOf(
  situation: Pick<Situation, 'disk'>,
  chain: readonly ChainImage[],
  { scope, format, copy }: MoveRequest,
  destination: ImageRef,
): LayeredPart['layers'] {
  const [top] = chain;
  if (top === undefined) throw new Error('a chain has an image');
  const compressed = copy?.compressed === true && ({ compressed: true } as const);
  if (scope === 'flatten') {
    return [{ from: refAt(situation, top, 0), to: destination, how: 'contents', ...compressed }];
  }
  if (format !== undefined && format !== top.image.format) {
    throw new Refusal(
      'format-keeps-shape',
      `a copy byte for byte stays ${top.image.format}`,
      { format },
      'leave --format out, or make one image of the chain: --flatten',
    );
  }
  const copied = scope === 'shallow' ? chain.slice(0, 1) : chain;
  const targets = chain.map((each, at) => {
    if (at === 0) return destination;
    if (at >= copied.length) return undefined;
    const from = refAt(situation, each, at);
    return lowerTarget(from, destination, copy?.nameOf?.(from, situation.disk.target, at));
  });
  const [first, ...rest] = copied.map((each, at): Layer => {
    const to = targets[at];
    if (to === undefined) throw new Error('a target for each');
    const backing = backingOf(each, targets[at + 1], chain[at + 1], copy !== undefined);
    return { from: refAt(situation, each, at), to, how: 'bytes', ...(backing && { backing }) };
  });
  if (first === undefined) throw new Error('a chain has an image');
  return [first, ...rest];
}

/** An image below the top keeps its file name unless it gets another, in the directory of the destination. */
function lowerTarget({ source, format }: ImageRef, destination: ImageRef, name?: string): ImageRef {
  if (source.kind !== 'file' || destination.source.kind !== 'file') throw new Error('checked before');
  const path = join(dirname(destination.source.path), name ?? basename(source.path));
  const { encryption } = source;
  return { source: { kind: 'file', path, ...(encryption !== undefined && { encryption }) }, format };
}

/**
 * What the copy's header says: the next copy, in the words of the source, or the image that both share. The images of a
 * copy find one another wherever their directory is taken.
 */
function backingOf(
  { backing }: ChainImage,
  next: ImageRef | undefined,
  below: ChainImage | undefined,
  isCopy: boolean,
): Layer['backing'] {
  if (backing === null || below === undefined) return undefined;
  const target = next ?? toRef(below.image);
  if (target.source.kind !== 'file') throw new Error('checked before');
  const { path } = target.source;
  // Whatever is shared is in another directory than the copy.
  const reference = (backing.relative || isCopy) && next !== undefined ? basename(path) : path;
  return { reference, format: target.format };
}
