// What must be true of an image that was made of a running guest's disk.
import assert from 'node:assert/strict';
import type { Acknowledged } from '../guest/report.ts';
import { verifyAcknowledged } from '../guest/verify.ts';
import { run } from '../process/run.ts';
import { chainOf } from './whole.ts';

/** Every write that the guest was told is flushed before `said` is in the image, which is sound and stands alone. */
export async function expectImage(path: string, said: Acknowledged, what: string): Promise<void> {
  const { checked, lost } = await verifyAcknowledged({ path, format: 'qcow2' }, said);
  assert.ok(checked > 0, `${what}: there was something to lose`);
  assert.deepEqual(lost, [], `${what}: every acknowledged write is in the image`);
  assert.deepEqual(await chainOf(path), [path], `${what}: it stands alone`);
  // 3: clusters that nothing refers to, as a storage daemon leaves them that was killed.
  await run(['qemu-img', 'check', '-q', '-f', 'qcow2', path], { accept: [0, 3] });
}
