// JSON without loss.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatExactJson, parseExactJson } from './exact-json.ts';

test('integers of any size survive, and are never numbers', () => {
  expect(parseExactJson('{"a": 9223372036854775807, "b": -0, "c": 1.5, "d": 1e3}')).toEqual({
    a: 9223372036854775807n,
    b: 0n,
    c: 1.5,
    d: 1000,
  });
});

test('what is written reads back the same', () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, false),
      fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }),
      fc.string({ unit: 'binary' }),
      fc.array(tie('any'), { maxLength: 4 }),
      fc.dictionary(fc.string(), tie('any'), { maxKeys: 4 }),
    ),
  })).any;
  fc.assert(
    fc.property(value, (any) => {
      expect(parseExactJson(formatExactJson(any as never))).toEqual(any);
    }),
  );
});

test('an own property called __proto__ is only a property', () => {
  expect(Object.getPrototypeOf(parseExactJson('{"__proto__": {"x": 1}}'))).toBe(Object.prototype);
});

test('malformed or bottomless JSON is a SyntaxError', () => {
  for (const text of ['', '{', 'nul', '[1,]', '01', '['.repeat(1_000_000)]) {
    expect(() => parseExactJson(text)).toThrow(SyntaxError);
  }
});

test('text that has no UTF-8 form is refused, not changed', () => {
  expect(() => formatExactJson({ name: '\udc80' })).toThrow(TypeError);
});
