// guestfish gets exactly the bytes that were meant.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { quoteForGuestfish } from './quote.ts';

/** As guestfish reads a string in double quotes, as far as we write any. */
function read(quoted: string): Buffer {
  const [, inside = ''] = /^"([^"]*)"$/.exec(quoted) ?? [];
  const bytes = inside.matchAll(/\\x([0-9a-f]{2})|([A-Za-z0-9/._-])/g);
  return Buffer.from(
    [...bytes].map(([, hex, plain = '']) => (hex ? Number.parseInt(hex, 16) : plain.charCodeAt(0))),
  );
}

it('leaves nothing in a name that means anything to guestfish', () => {
  expect(quoteForGuestfish('/a b')).toBe('"/a\\x20b"');
  expect(quoteForGuestfish('"; !rm\n')).toBe('"\\x22\\x3b\\x20\\x21rm\\x0a"');
});

it('gives back every name, text or not', () => {
  fc.assert(
    fc.property(fc.uint8Array({ min: 1 }), (bytes) => {
      const quoted = quoteForGuestfish(bytes);
      expect(quoted).toMatch(/^"(\\x[0-9a-f]{2}|[A-Za-z0-9/._-])*"$/);
      expect(read(quoted)).toEqual(Buffer.from(bytes));
    }),
  );
});

it('refuses a NUL', () => {
  expect(() => quoteForGuestfish('a\0b')).toThrow(TypeError);
});
