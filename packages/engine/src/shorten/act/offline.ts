// A domain that is off: qemu-img does what the block job would. It works beside the loop, so that an abort, a Ctrl-C or a
// start of the domain is noticed meanwhile.
import { basename, dirname, join, relative } from 'node:path';
import {
  commit,
  type Image,
  readHeader,
  rebase,
  relinkBacking,
  resolveBackingReference,
  toRelativeReference,
} from '@blockferry/qemu';
import { filePath, hostOf, syncFile } from '../../layered/act/files.ts';
import { isRunning } from '../../layered/act/walk.ts';
import { mergeDown } from '../../layered/bitmaps.ts';
import { messageOf } from '../../model/errors.ts';
import type { ImageRef } from '../../model/record.ts';
import { referenceTo } from '../../model/rounds.ts';
import type { Bytes } from '../../model/units.ts';
import type { OfflineWork } from '../../observe/memory.ts';
import { toKeyedImage } from '../../storage/passphrase.ts';
import { toImage } from '../../storage/to-image.ts';
import { imageAbove, imageBelow, leaves, shortenPart } from '../chain.ts';
import { defineOn } from './define-on.ts';
import type { ShortenScene } from './scene.ts';
import { mustBeAlone } from './start-job.ts';

/**
 * Begins it. Nothing that is killed half-way spoils anything: `qemu-img commit` leaves the image that it takes the data
 * from as it is, `qemu-img rebase` changes the header last; both are done again from the start.
 *
 * @throws StepFailed when another disk has come to depend on what a commit would change
 */
export async function workOffline(scene: ShortenScene): Promise<void> {
  const { memory, move } = scene;
  await mustBeAlone(scene, 'work-offline');
  await memory.shorten.work?.stop();
  memory.starts += 1;
  const work = move.strategy === 'commit' ? merge : pull;
  memory.shorten.work = begin(await bytesOf(scene), (report) => work(scene, report));
}

export async function stopOffline({ memory }: ShortenScene): Promise<void> {
  await memory.shorten.work?.stop();
  delete memory.shorten.work;
}

/**
 * Has the header above, or the definition, name what holds the data now. A pull has done so itself. A domain that was
 * started or written to since the data was taken is left alone: the next look finds what is to be done.
 */
export async function finishOffline(scene: ShortenScene): Promise<void> {
  const { memory, move } = scene;
  const taken = memory.shorten.work?.stamp();
  delete memory.shorten.work;
  if (await isRunning(scene)) return;
  const [above, below] = [imageAbove(move), imageBelow(move)];
  if (above === undefined) {
    if ((await activeStamp(scene)) === taken) await defineOn(scene, 'destination');
    return;
  }
  if (move.strategy === 'commit' && below !== undefined) await relink(scene, above, below);
  // Some definitions spell the chain out: libvirt believes those more than the headers.
  const told = scene.observation.definitions?.config?.disk(move.disk)?.chain ?? [];
  if (told.length > 1) await defineOn(scene, 'destination');
}

interface Report {
  readonly signal: AbortSignal;
  /** The part of the whole that is done, from 0 to 1. */
  progress(fraction: number): void;
  stamped(stamp: string): void;
}

/** Image by image, down to the one that takes it all; what the bitmaps of each recorded goes along. */
async function merge(scene: ShortenScene, { signal, progress, stamped }: Report): Promise<void> {
  const { move } = scene;
  const host = hostOf(scene);
  const { chain } = shortenPart(move);
  const images = await keyed(scene, chain);
  const going = chain.flatMap((image, at) => (leaves(move, image) ? [at] : []));
  for (const [done, at] of going.entries()) {
    const [top, below, ...rest] = images.slice(at);
    if (top === undefined || below === undefined) throw new Error('a base is below what is committed');
    const onProgress = (fraction: number) => progress((done + fraction) / going.length);
    await commit(host, [top, below, ...rest], { signal, onProgress, bytesPerSecond: move.options.bandwidth });
    // Before the bitmaps: qemu-img writes to an image that has some.
    if (at === 0) stamped(await activeStamp(scene));
    await mergeDown(scene, top, below);
  }
}

async function pull(scene: ShortenScene, { signal, progress }: Report): Promise<void> {
  const { move } = scene;
  const [active] = shortenPart(move).chain;
  const below = imageBelow(move);
  if (active === undefined) throw new Error('a chain has an active image');
  const backing = below === undefined ? null : await backingOf(scene, active, below);
  await rebase(hostOf(scene), toImage(active), backing, { signal, onProgress: progress });
}

async function relink(scene: ShortenScene, above: ImageRef, below: ImageRef): Promise<void> {
  const host = hostOf(scene);
  const [image] = await keyed(scene, [above]);
  if (image === undefined) return;
  await relinkBacking(host, image, await backingOf(scene, above, below));
  const path = filePath(above);
  if (path !== undefined) await syncFile(host, path, 60_000);
}

async function backingOf(scene: ShortenScene, above: ImageRef, below: ImageRef) {
  const { format } = toImage(below);
  return { reference: (await relativeReference(scene, above, below)) ?? referenceTo(below), format };
}

/** Undefined: it is to be absolute. The way leads up from where the directory really is, whatever links lead there. */
async function relativeReference(
  scene: ShortenScene,
  above: ImageRef,
  below: ImageRef,
): Promise<string | undefined> {
  const [from, to] = [filePath(above), filePath(below)];
  if (!shortenPart(scene.move).keepRelative || from === undefined || to === undefined) return undefined;
  const host = hostOf(scene);
  const { image, backing } = await readHeader(host, toImage(above));
  if (backing === null || !resolveBackingReference(image.location, backing.reference).relative) {
    return undefined;
  }
  const [here = '', there = ''] = await Promise.all([from, to].map((path) => host.realpath(dirname(path))));
  return toRelativeReference(relative(here, join(there, basename(to))));
}

async function keyed({ context }: ShortenScene, images: readonly ImageRef[]): Promise<Image[]> {
  const connection = await context.link.connection();
  return Promise.all(images.map((image) => toKeyedImage(connection, image)));
}

/** Changes with every write to the active image of the chain as it was. */
async function activeStamp(scene: ShortenScene): Promise<string> {
  const [active] = shortenPart(scene.move).chain;
  const path = active && filePath(active);
  const stat = path === undefined ? null : await hostOf(scene).stat(path);
  return stat === null ? 'absent' : `${stat.inode} ${stat.size} ${stat.mtimeNs}`;
}

/** What there is to read; qemu-img tells only which part of it is done. */
async function bytesOf(scene: ShortenScene): Promise<Bytes> {
  const host = hostOf(scene);
  const stats = await Promise.all(scene.move.sources.map(filePath).map((path) => path && host.stat(path)));
  return stats.reduce((sum, stat) => sum + (stat ? stat.allocated : 0n), 0n);
}

function begin(bytes: Bytes, work: (report: Report) => Promise<void>): OfflineWork {
  const stop = new AbortController();
  let state: ReturnType<OfflineWork['state']> = 'running';
  let done = 0n;
  let stamp = '';
  const report: Report = {
    signal: stop.signal,
    progress: (fraction) => {
      done = BigInt(Math.floor(fraction * Number(bytes)));
    },
    stamped: (now) => {
      stamp = now;
    },
  };
  const ended = work(report).then(
    () => {
      state = 'done';
    },
    (error: unknown) => {
      state = { failed: messageOf(error) };
    },
  );
  return {
    state: () => state,
    progress: () => ({ cur: done, end: bytes }),
    stamp: () => stamp,
    async stop() {
      stop.abort();
      await ended;
    },
  };
}
