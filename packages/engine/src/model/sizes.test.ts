// Units as people read them.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatBytes } from './sizes.ts';

test.each([
  [0n, '0 B'],
  [512n, '512 B'],
  [1023n, '1023 B'],
  [1024n, '1.0 KiB'],
  [1536n, '1.5 KiB'],
  [(100n << 20n) - 1n, '100 MiB'],
  [12n << 20n, '12.0 MiB'],
  [310n << 20n, '310 MiB'],
  [(1n << 30n) - 1n, '1.0 GiB'],
  [8n << 40n, '8.0 TiB'],
  [-2048n, '-2.0 KiB'],
])('%s bytes read %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test('a size never needs more than four digits before the unit', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, (1n << 64n) - 1n), (bytes) => {
      expect(formatBytes(bytes)).toMatch(/^\d{1,4}(\.\d)? ([KMGTPE]i)?B$/);
    }),
  );
});
