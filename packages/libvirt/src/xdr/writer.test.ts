// The writer grows its buffer as it goes: what was written before must survive each growth.
import { expect, it } from 'vitest';
import { XdrReader } from './reader.ts';
import { XdrWriter } from './writer.ts';

it('keeps every number, wherever the buffer has to grow', () => {
  for (let initial = 1; initial < 64; initial += 1) {
    const writer = new XdrWriter(undefined, initial);
    for (let n = 0; n < 100; n += 1) {
      writer.uint32(n);
      writer.int64(BigInt(n));
    }
    const reader = new XdrReader(writer.bytes());
    for (let n = 0; n < 100; n += 1) {
      expect(reader.uint32()).toBe(n);
      expect(reader.int64()).toBe(BigInt(n));
    }
  }
});
