// What the guest's block number N holds and where it lies: the same as in testbed/guest/writer.c.

/** Where and how the guest writes. Everything it writes follows from this and the block's number. */
export type WriterPlan = {
  /** Tells this guest's blocks from any other's: at most 16 letters and digits. */
  readonly run: string;
  readonly seed: number;
  readonly offset: bigint;
  readonly length: bigint;
  /** Bytes a block: 4096 or a multiple. */
  readonly blockBytes: number;
};

export const headerBytes = 64;
const magic = 0x3157524546424c42n;
const at = { run: 8, seq: 24, slot: 32, incarnation: 36, block: 40, seed: 44, checksum: 48 } as const;

function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

const key = (seed: number, seq: number) => mix((seed + Math.imul(seq, 0x9e3779b9)) >>> 0);

export function slotCount(plan: WriterPlan): number {
  return Number(plan.length / BigInt(plan.blockBytes));
}

/** The slot of the region into which block number `seq` goes. */
export function slotOf(plan: WriterPlan, seq: number): number {
  return mix((key(plan.seed, seq) ^ 0x51071) >>> 0) % slotCount(plan);
}

function checksumOf(view: DataView): number {
  let sum = 1;
  for (let i = 0; i < view.byteLength; i += 4) {
    const word = i === at.checksum ? 0 : view.getUint32(i, true);
    sum = ((sum << 5) | (sum >>> 27)) ^ Math.imul(word, 0x01000193);
  }
  return sum >>> 0;
}

/** The whole content of block number `seq`, as life number `incarnation` of the guest writes it. */
export function blockContent(plan: WriterPlan, seq: number, incarnation = 1): Buffer {
  const block = Buffer.alloc(plan.blockBytes);
  let x = key(plan.seed, seq) | 1;
  for (let i = headerBytes; i < plan.blockBytes; i += 4) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    block.writeUInt32LE(x >>> 0, i);
  }
  block.writeBigUInt64LE(magic, 0);
  block.write(plan.run, at.run, 16, 'latin1');
  block.writeBigUInt64LE(BigInt(seq), at.seq);
  block.writeUInt32LE(slotOf(plan, seq), at.slot);
  block.writeUInt32LE(incarnation, at.incarnation);
  block.writeUInt32LE(plan.blockBytes, at.block);
  block.writeUInt32LE(plan.seed, at.seed);
  block.writeUInt32LE(
    checksumOf(new DataView(block.buffer, block.byteOffset, block.byteLength)),
    at.checksum,
  );
  return block;
}

export type Found =
  | { readonly kind: 'whole'; readonly seq: number }
  | { readonly kind: 'broken'; readonly seq: number }
  | { readonly kind: 'zeros' }
  | { readonly kind: 'foreign' };

/** Tells what a slot holds, comparing every byte with what its block number says it should be. */
export function readBlock(plan: WriterPlan, slot: number, block: Buffer): Found {
  if (block.readBigUInt64LE(0) !== magic || !ofRun(plan, block)) {
    return block.every((byte) => byte === 0) ? { kind: 'zeros' } : { kind: 'foreign' };
  }
  const seq = Number(block.readBigUInt64LE(at.seq));
  const expected = blockContent(plan, seq, block.readUInt32LE(at.incarnation));
  return slotOf(plan, seq) === slot && expected.equals(block)
    ? { kind: 'whole', seq }
    : { kind: 'broken', seq };
}

function ofRun(plan: WriterPlan, block: Buffer): boolean {
  const run = Buffer.alloc(16);
  run.write(plan.run, 0, 16, 'latin1');
  return run.equals(block.subarray(at.run, at.run + 16));
}
