import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  encodeFrame,
  type Frame,
  FrameDecoder,
  FrameError,
  type FrameHeader,
  MAX_FRAME_BYTES,
} from './frame.ts';

const header: FrameHeader = {
  program: 0x2000_8086,
  version: 1,
  procedure: 345,
  type: 0,
  serial: 7,
  status: 0,
};

const frames = fc.array(
  fc.record({ serial: fc.nat(0xffff_ffff), payload: fc.uint8Array({ maxLength: 60 }) }),
  { minLength: 1, maxLength: 6 },
);

function bytesOf(parts: readonly { readonly serial: number; readonly payload: Uint8Array }[]): Buffer {
  return Buffer.concat(
    parts.map(({ serial, payload }) => {
      const frame = encodeFrame({ ...header, serial });
      frame.writeUInt32BE(frame.length + payload.length, 0);
      return Buffer.concat([frame, payload]);
    }),
  );
}

function seen(parts: readonly Frame[]) {
  return parts.map(({ serial, payload }) => ({ serial, payload: Buffer.from(payload) }));
}

function wanted(parts: readonly { readonly serial: number; readonly payload: Uint8Array }[]) {
  return parts.map(({ serial, payload }) => ({ serial, payload: Buffer.from(payload) }));
}

function withLength(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
}

describe('a frame', () => {
  test('is a length that counts itself, six words, and the payload', () => {
    const bytes = encodeFrame(header, (writer) => writer.uint32(9));
    expect(bytes.toString('hex')).toBe(
      ['00000020', '20008086', '00000001', '00000159', '00000000', '00000007', '00000000', '00000009'].join(
        '',
      ),
    );
  });

  test('longer than any peer accepts is not built', () => {
    expect(() => encodeFrame(header, (writer) => writer.fixedOpaque(Buffer.alloc(MAX_FRAME_BYTES)))).toThrow(
      /cannot be sent/,
    );
  });
});

describe('the decoder', () => {
  test('finds every frame of a stream in one piece', () => {
    fc.assert(
      fc.property(frames, (parts) => {
        expect(seen([...new FrameDecoder().push(bytesOf(parts))])).toEqual(wanted(parts));
      }),
    );
  });

  test('finds every frame of a stream that comes byte by byte', () => {
    fc.assert(
      fc.property(frames, (parts) => {
        const decoder = new FrameDecoder();
        const found = [...bytesOf(parts)].flatMap((byte) => [...decoder.push(Buffer.of(byte))]);
        expect(seen(found)).toEqual(wanted(parts));
        expect(decoder.buffered).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  test('finds every frame however the stream is cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (parts, sizes) => {
        const decoder = new FrameDecoder();
        const bytes = bytesOf(parts);
        const found: Frame[] = [];
        let at = 0;
        for (let i = 0; at < bytes.length; i++) {
          const size = sizes[i % sizes.length] ?? 1;
          found.push(...decoder.push(bytes.subarray(at, at + size)));
          at += size;
        }
        expect(seen(found)).toEqual(wanted(parts));
      }),
    );
  });

  test('takes a frame of the greatest length', () => {
    const decoder = new FrameDecoder();
    const start = encodeFrame(header);
    start.writeUInt32BE(MAX_FRAME_BYTES, 0);
    const found = [...decoder.push(start), ...decoder.push(Buffer.alloc(MAX_FRAME_BYTES - start.length))];
    expect(found[0]?.payload.length).toBe(MAX_FRAME_BYTES - 28);
  });

  test.each([0, 3, 27, MAX_FRAME_BYTES + 1, 0xffff_ffff])('refuses a length of %i at once', (length) => {
    expect(() => [...new FrameDecoder().push(withLength(length))]).toThrow(FrameError);
  });

  test('refuses an impossible length also when its bytes come one by one', () => {
    const decoder = new FrameDecoder();
    const feed = () => [...withLength(0xffff_ffff)].flatMap((byte) => [...decoder.push(Buffer.of(byte))]);
    expect(feed).toThrow(FrameError);
  });

  test('allocates nothing for bytes that were only announced', () => {
    const decoder = new FrameDecoder();
    const before = process.memoryUsage().arrayBuffers;
    const found = [...decoder.push(withLength(MAX_FRAME_BYTES)), ...decoder.push(Buffer.alloc(100))];
    expect(found).toEqual([]);
    expect(decoder.buffered).toBe(104);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_048_576);
  });

  test('meets random bytes with frames or a FrameError, and holds no more than it was given', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (chunks) => {
        const decoder = new FrameDecoder();
        let given = 0;
        try {
          for (const chunk of chunks) {
            given += chunk.length;
            for (const frame of decoder.push(Buffer.from(chunk)))
              expect(frame.payload.length).toBeLessThan(given);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
        }
        expect(decoder.buffered).toBeLessThanOrEqual(given);
      }),
    );
  });
});
