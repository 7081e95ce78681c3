// The verifier against the guest's own program, run here on plain files: it must find what is lost, and nothing else.
import { spawn } from 'node:child_process';
import { copyFile, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../process/run.ts';
import { until } from '../process/until.ts';
import { blockContent, slotOf } from './blocks.ts';
import { guestWriter } from './guest.ts';
import { type Acknowledged, DiskReport } from './report.ts';
import { verifyAcknowledged } from './verify.ts';

const source = fileURLToPath(new URL('../../guest/writer.c', import.meta.url));
let directory = '';
let writer = '';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bf-writer-'));
  writer = join(directory, 'writer');
  await run(['gcc', '-O2', '-fno-strict-aliasing', '-pthread', '-o', writer, source]);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

/** Runs the guest's program on `disk` until it has reported `blocks` more, then kills it as a power cut would. */
async function write(
  disk: string,
  blocks: number,
  plan: ReturnType<typeof guestWriter>,
): Promise<Acknowledged> {
  const log = `${disk}.log`;
  await writeFile(log, '', { flag: 'a' });
  const numbers = [plan.seed, plan.offset, plan.length, plan.blockBytes, 0, plan.batch, 1].map(String);
  const child = spawn(writer, [log, disk, plan.run, ...numbers], { stdio: 'inherit' });
  try {
    const before = (await read(log)).writes;
    const enough = async () => ((await read(log)).writes - before >= blocks ? true : undefined);
    await until(`${blocks} blocks`, enough, { timeoutMs: 60_000 });
  } finally {
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
  }
  return (await read(log)).acknowledged(plan);
}

async function read(log: string): Promise<DiskReport> {
  const report = new DiskReport('vda');
  for (const line of (await readFile(log, 'latin1')).split('\n').slice(0, -1)) report.read(line);
  return report;
}

async function newDisk(name: string): Promise<string> {
  const path = join(directory, name);
  await run(['mkdir', path]);
  await run(['truncate', '-s', '8M', join(path, 'vda')]);
  return join(path, 'vda');
}

const region = { offset: 1n << 20n, length: 4n << 20n };

async function overwrite(disk: string, at: bigint, bytes: Buffer): Promise<void> {
  const file = await open(disk, 'r+');
  await file.write(bytes, 0, bytes.length, Number(at));
  await file.close();
}

for (const shape of [
  { blockBytes: 4096, batch: 1 },
  { blockBytes: 16384, batch: 8 },
]) {
  test(`finds every block of ${shape.blockBytes} bytes, over two lives`, async () => {
    const disk = await newDisk(`good-${shape.blockBytes}`);
    const plan = guestWriter('vda', region, { ...shape, seed: 0xfedcba98 });
    await write(disk, 300, plan);
    const said = await write(disk, 300, plan);
    expect(said.lives.map((life) => life.incarnation)).toEqual([1, 2]);
    expect(said.badReadbacks).toEqual([]);
    const { checked, lost } = await verifyAcknowledged({ path: disk, format: 'raw' }, said);
    expect(lost).toEqual([]);
    expect(checked).toBeGreaterThan(100);
  });
}

/** The newest block that was told of and stands: the writer is ahead of what it has told, and may have written over others. */
function newestStanding({ plan, highestSeq }: Acknowledged, disk: Buffer): number {
  const seen = new Set<number>();
  for (let seq = highestSeq; seq > 0; seq--) {
    const slot = slotOf(plan, seq);
    if (seen.has(slot)) continue;
    seen.add(slot);
    const at = Number(plan.offset) + slot * plan.blockBytes;
    if (disk.subarray(at, at + plan.blockBytes).equals(blockContent(plan, seq))) return seq;
  }
  throw new Error('no block stands');
}

test('detects one flipped byte, one lost block, one stale block and one block in the wrong place', async () => {
  const disk = await newDisk('damaged');
  const plan = guestWriter('vda', region);
  const said = await write(disk, 300, plan);
  const image = { path: disk, format: 'raw' } as const;
  const seq = newestStanding(said, await readFile(disk));
  const at = plan.offset + BigInt(slotOf(plan, seq) * plan.blockBytes);
  const whole = (await readFile(disk)).subarray(Number(at), Number(at) + plan.blockBytes);
  const elsewhere = [seq + 1, seq + 2, seq + 3].find((each) => slotOf(plan, each) !== slotOf(plan, seq)) ?? 0;
  const flipped = Buffer.from(whole);
  flipped.writeUInt8(flipped.readUInt8(3000) ^ 1, 3000);
  const damages = [
    [flipped, { kind: 'broken', seq }],
    [Buffer.alloc(plan.blockBytes), { kind: 'zeros' }],
    [Buffer.alloc(plan.blockBytes, 0x55), { kind: 'foreign' }],
    [blockContent({ ...plan, run: 'another' }, seq), { kind: 'foreign' }],
    [blockContent(plan, elsewhere), { kind: 'broken', seq: elsewhere }],
  ] as const;
  for (const [bytes, found] of damages) {
    await overwrite(disk, at, bytes);
    const { lost } = await verifyAcknowledged(image, said);
    expect(lost).toEqual([{ where: 'image', slot: slotOf(plan, seq), wantedSeq: seq, found }]);
  }
  await overwrite(disk, at, whole);
  expect((await verifyAcknowledged(image, said)).lost).toEqual([]);
});

test('detects that the guest was started from a stale copy, even after it wrote on', async () => {
  const disk = await newDisk('stale');
  const plan = guestWriter('vda', region);
  await write(disk, 200, plan);
  await copyFile(disk, `${disk}.stale`);
  const { highestSeq } = await write(disk, 200, plan);
  await copyFile(`${disk}.stale`, disk);
  const said = await write(disk, 600, plan);
  const { lost } = await verifyAcknowledged({ path: disk, format: 'raw' }, said);
  expect(lost).toContainEqual(expect.objectContaining({ where: 'boot', flushedBefore: highestSeq }));
});

test('detects a block that vanished under the running guest, even after it wrote on', async () => {
  const disk = await newDisk('vanished');
  const plan = guestWriter('vda', { offset: 0n, length: 65536n });
  const writing = write(disk, 500, plan);
  await until('its first blocks', async () => ((await read(`${disk}.log`)).writes > 100 ? true : undefined));
  await overwrite(disk, 0n, Buffer.alloc(65536));
  const said = await writing;
  expect(said.badReadbacks.length).toBeGreaterThan(0);
  const { lost } = await verifyAcknowledged({ path: disk, format: 'raw' }, said);
  expect(lost).toContainEqual(expect.objectContaining({ where: 'readback' }));
});
