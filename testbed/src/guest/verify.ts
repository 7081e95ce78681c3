// Proves, block by block, that every write the guest saw flushed is in an image.
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../process/run.ts';
import { blockContent, type Found, readBlock, slotCount, slotOf, type WriterPlan } from './blocks.ts';
import type { Acknowledged, BadReadback, Life } from './report.ts';

/** An image with its chain, or any block node as QEMU's `blockdev-add` takes it (an NBD export, say). */
export type VerifiedImage =
  | { readonly path: string; readonly format: 'qcow2' | 'raw' }
  | {
      readonly node: Readonly<Record<string, unknown>>;
      /** What the node refers to, such as secrets, as `--object` takes it. */
      readonly objects?: readonly string[];
    };

export type Lost =
  /** A slot does not hold the block that was flushed there, nor a later one. */
  | { readonly where: 'image'; readonly slot: number; readonly wantedSeq: number; readonly found: Found }
  /** The guest booted from a disk that had forgotten what it had reported as flushed before. */
  | { readonly where: 'boot'; readonly life: Life; readonly flushedBefore: number }
  /** The running guest read a slot and found another block than its own last one. */
  | { readonly where: 'readback'; readonly bad: BadReadback };

/**
 * Of a guest that was migrated live, what its disk lacks. That it reads a later block than it remembers to have written is
 * left out: the disk is ahead of its memory. Seen once in some sixty migrations, on a machine at load 13: one store of the
 * emulated processor (TCG) into memory that was just being sent did not come along.
 */
export function lostOnDisk(lost: readonly Lost[]): Lost[] {
  return lost.filter((each) => each.where !== 'readback' || each.bad.got <= each.bad.want);
}

export type Verification = { readonly checked: number; readonly lost: readonly Lost[] };

/**
 * Compares every slot of the guest's region in `image` with what the guest reported.
 *
 * The image must not change meanwhile: a stopped domain's, or a frozen copy. Reads the region only (through
 * `qemu-img convert`, so backing chains and every protocol QEMU knows are followed).
 * @throws {RunError} when the image cannot be read.
 */
export async function verifyAcknowledged(image: VerifiedImage, said: Acknowledged): Promise<Verification> {
  const lost: Lost[] = [
    ...forgottenAtBoot(said.lives),
    ...said.badReadbacks.map((bad): Lost => ({ where: 'readback', bad })),
  ];
  const wanted = lastFlushed(said.plan, said.lives);
  await eachSlot(image, said.plan, (slot, block) => {
    const wantedSeq = wanted.get(slot);
    if (wantedSeq === undefined) return;
    const found = readBlock(said.plan, slot, block);
    const kept = found.kind === 'whole' && found.seq >= wantedSeq;
    if (!kept && !tornInFlight(said, slot, wantedSeq, block)) {
      lost.push({ where: 'image', slot, wantedSeq, found });
    }
  });
  return { checked: wanted.size, lost };
}

/** The highest number of any whole block of the guest's in an image; 0 if there is none. As `verifyAcknowledged`. */
export async function newestBlock(image: VerifiedImage, plan: WriterPlan): Promise<number> {
  let newest = 0;
  await eachSlot(image, plan, (slot, block) => {
    const found = readBlock(plan, slot, block);
    if (found.kind === 'whole') newest = Math.max(newest, found.seq);
  });
  return newest;
}

/** Each slot's last number that the guest reported as flushed. What it wrote after its last report is no promise. */
function lastFlushed(plan: WriterPlan, lives: readonly Life[]): Map<number, number> {
  const wanted = new Map<number, number>();
  for (const life of lives) {
    for (let seq = life.firstSeq; seq <= life.highestSeq; seq++) {
      const slot = slotOf(plan, seq);
      wanted.set(slot, Math.max(seq, wanted.get(slot) ?? 0));
    }
  }
  return wanted;
}

function forgottenAtBoot(lives: readonly Life[]): Lost[] {
  const lost: Lost[] = [];
  let flushedBefore = 0;
  for (const life of lives) {
    if (life.firstSeq <= flushedBefore) lost.push({ where: 'boot', life, flushedBefore });
    flushedBefore = Math.max(flushedBefore, life.highestSeq);
  }
  return lost;
}

const pageBytes = 4096;
/** More blocks than a guest writes between two reports. */
const inFlightBlocks = 4096;

/**
 * A machine that is killed may leave a block of several pages half written: each page then is of the block that was
 * being written (after the last report) or of the one before it. That loses nothing the guest was promised.
 */
function tornInFlight(said: Acknowledged, slot: number, wantedSeq: number, block: Buffer): boolean {
  if (said.plan.blockBytes <= pageBytes) return false;
  const { plan } = said;
  const contents: Buffer[] = [];
  for (const [index, life] of said.lives.entries()) {
    const incarnations = said.lives.slice(0, index + 1).map((each) => each.incarnation);
    for (const incarnation of incarnations) contents.push(blockContent(plan, wantedSeq, incarnation));
    for (let seq = life.highestSeq + 1; seq <= life.highestSeq + inFlightBlocks; seq++) {
      if (slotOf(plan, seq) === slot) contents.push(blockContent(plan, seq, life.incarnation));
    }
  }
  for (let page = 0; page < block.length; page += pageBytes) {
    const got = block.subarray(page, page + pageBytes);
    if (!contents.some((content) => content.subarray(page, page + pageBytes).equals(got))) return false;
  }
  return true;
}

async function copyRegion(image: VerifiedImage, plan: WriterPlan, to: string): Promise<void> {
  const node =
    'node' in image ? image.node : { driver: image.format, file: { driver: 'file', filename: image.path } };
  const region = { driver: 'raw', offset: Number(plan.offset), size: Number(plan.length), file: node };
  const objects = 'node' in image ? (image.objects ?? []) : [];
  const options = objects.flatMap((object) => ['--object', object]);
  await run(['qemu-img', 'convert', ...options, '-O', 'raw', `json:${JSON.stringify(region)}`, to]);
}

/** Calls `look` with every slot of the region. The buffer is used again for the next slot. */
async function eachSlot(
  image: VerifiedImage,
  plan: WriterPlan,
  look: (slot: number, block: Buffer) => void,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'bf-verify-'));
  try {
    const raw = join(directory, 'region.raw');
    await copyRegion(image, plan, raw);
    const file = await open(raw);
    try {
      const block = Buffer.alloc(plan.blockBytes);
      for (let slot = 0; slot < slotCount(plan); slot++) {
        const { bytesRead } = await file.read(block, 0, plan.blockBytes, slot * plan.blockBytes);
        look(slot, bytesRead === plan.blockBytes ? block : Buffer.alloc(plan.blockBytes));
      }
    } finally {
      await file.close();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
