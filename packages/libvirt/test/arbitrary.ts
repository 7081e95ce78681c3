// Values for any schema, for property-based tests.

import fc from 'fast-check';
import type { Schema, Shape } from '../src/xdr/schema.ts';

const text = (maxBytes: number) =>
  fc
    .string({ unit: 'grapheme', maxLength: 40 })
    .filter((value) => !value.includes('\0') && Buffer.byteLength(value) <= maxBytes);

/** Values that `schema` can carry. Sizes stay small: limits have tests of their own. */
export function valuesOf<T>(schema: Schema<T>): fc.Arbitrary<T> {
  return fromShape(schema.shape) as fc.Arbitrary<T>;
}

function fromShape(shape: Shape): fc.Arbitrary<unknown> {
  switch (shape.is) {
    case 'int32':
      return fc.integer();
    case 'uint32':
      return fc.nat(0xffff_ffff);
    case 'int64':
      return fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });
    case 'uint64':
      return fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
    case 'float64':
      return fc.double();
    case 'bool':
      return fc.boolean();
    case 'uuid':
      return fc.uuid();
    case 'unsignedChar':
      return fc.nat(255);
    case 'string':
      return text(shape.max);
    case 'charArray':
      return text(shape.max - 1);
    case 'opaque':
    case 'charBytes':
      return fc.uint8Array({ maxLength: Math.min(shape.max, 64) }).map((bytes) => Buffer.from(bytes));
    case 'optional':
      return fc.option(valuesOf(shape.of));
    case 'array':
      return fc.array(valuesOf(shape.of), { maxLength: Math.min(shape.max, 5) });
    case 'struct':
      return fc.record(Object.fromEntries(Object.entries(shape.fields).map(([k, v]) => [k, valuesOf(v)])));
    case 'union':
      return fc.oneof(
        ...[...shape.arms.values()].map(({ type, value }) =>
          fc.record({ type: fc.constant(type), value: valuesOf(value) }),
        ),
      );
    default:
      return unreachable(shape);
  }
}

function unreachable(shape: never): never {
  throw new TypeError(`no values for ${JSON.stringify(shape)}`);
}
