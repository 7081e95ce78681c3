import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allSchemas } from '../../test/all-procedures.ts';
import { valuesOf } from '../../test/arbitrary.ts';
import { domainRef, typedParam, typedParams } from '../procedures/types.ts';
import { XdrError } from './error.ts';
import { XdrReader } from './reader.ts';
import {
  array,
  double,
  hyper,
  int32,
  intBool,
  opaque,
  optional,
  type Schema,
  string,
  struct,
  uhyper,
  uint32,
} from './schema.ts';
import { charArray, charBytes, union, unsignedChar, uuid } from './special.ts';
import { XdrWriter } from './writer.ts';

function encode<T>(schema: Schema<T>, value: T): Buffer {
  const writer = new XdrWriter();
  schema.write(writer, value);
  return Buffer.from(writer.bytes());
}

function decode<T>(schema: Schema<T>, bytes: Buffer): T {
  const reader = new XdrReader(bytes);
  const value = schema.read(reader);
  reader.end();
  return value;
}

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

describe('bytes on the wire', () => {
  const cases: readonly (readonly [what: string, schema: Schema<never>, value: unknown, bytes: string])[] = [
    ['a negative int', int32() as Schema<never>, -2, 'fffffffe'],
    ['the largest unsigned int', uint32() as Schema<never>, 0xffff_ffff, 'ffffffff'],
    ['a hyper', hyper() as Schema<never>, -1n, 'ffffffff ffffffff'],
    ['an unsigned hyper', uhyper() as Schema<never>, 0x0102_0304_0506_0708n, '01020304 05060708'],
    ['a double', double() as Schema<never>, 1, '3ff00000 00000000'],
    ['true', intBool() as Schema<never>, true, '00000001'],
    ['a string, padded', string() as Schema<never>, 'vda', '00000003 76646100'],
    ['a string that needs no padding', string() as Schema<never>, 'vdaa', '00000004 76646161'],
    ['an empty string', string() as Schema<never>, '', '00000000'],
    ['a string counted in bytes, not characters', string() as Schema<never>, 'é', '00000002 c3a90000'],
    ['nothing where a string may be', optional(string()) as Schema<never>, null, '00000000'],
    ['a string that may be missing', optional(string()) as Schema<never>, 'a', '00000001 00000001 61000000'],
    ['opaque bytes', opaque(8) as Schema<never>, Buffer.of(1, 2, 3, 4, 5), '00000005 01020304 05000000'],
    ['an array', array(uint32(), 4) as Schema<never>, [1, 2], '00000002 00000001 00000002'],
    ['a char, in four bytes', unsignedChar() as Schema<never>, 2, '00000002'],
    ['a char array, each in four bytes', charArray(3) as Schema<never>, 'é', 'ffffffc3 ffffffa9 00000000'],
    ['counted chars', charBytes(9) as Schema<never>, Buffer.of(1, 255), '00000002 00000001 ffffffff'],
    [
      'a uuid, without length',
      uuid() as Schema<never>,
      '22222222-3333-4444-5555-666666666666',
      '22222222333344445555666666666666',
    ],
    [
      'a typed parameter',
      typedParam as Schema<never>,
      { field: 'bandwidth', value: { type: 'ullong', value: 1n } },
      '00000009 62616e64 77696474 68000000 00000004 00000000 00000001',
    ],
    [
      'a domain',
      domainRef as Schema<never>,
      { name: 'vm', uuid: '00000000-0000-0000-0000-000000000001', id: -1 },
      '00000002 766d0000 00000000000000000000000000000001 ffffffff',
    ],
  ];

  test.each(cases)('%s', (_what, schema, value, bytes) => {
    expect(encode(schema as Schema<unknown>, value)).toEqual(hex(bytes));
    expect(decode(schema as Schema<unknown>, hex(bytes))).toEqual(value);
  });
});

describe('every schema of the protocol', () => {
  test.each(allSchemas)('%s: what was written is what is read', (_name, schema) => {
    fc.assert(
      fc.property(valuesOf(schema), (value) => {
        const bytes = encode(schema, value);
        expect(bytes.length % 4).toBe(0);
        expect(bytes.length).toBeGreaterThanOrEqual(schema.minBytes);
        expect(decode(schema, bytes)).toEqual(value);
      }),
      { numRuns: 30 },
    );
  });

  test.each(allSchemas)('%s: a message cut short is an XdrError, wherever the cut', (_name, schema) => {
    fc.assert(
      fc.property(valuesOf(schema), fc.nat(), (value, seed) => {
        const bytes = encode(schema, value);
        if (bytes.length === 0) return;
        const cut = bytes.subarray(0, seed % bytes.length);
        expect(() => decode(schema, cut)).toThrow(XdrError);
      }),
      { numRuns: 30 },
    );
  });

  test.each(allSchemas)(
    '%s: random bytes are a value or an XdrError, never another failure',
    (_name, schema) => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
          try {
            decode(schema, Buffer.from(bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(XdrError);
          }
        }),
        { numRuns: 50 },
      );
    },
  );

  test.each(allSchemas)('%s: a message with bytes left over is refused', (_name, schema) => {
    const [value] = fc.sample(valuesOf(schema), { numRuns: 1, seed: 1 });
    expect(() => decode(schema, Buffer.concat([encode(schema, value), Buffer.alloc(4)]))).toThrow(XdrError);
  });
});

describe('hostile lengths', () => {
  const huge = hex('ffffffff 00000000');

  test.each([
    ['a string', string() as Schema<unknown>],
    ['opaque bytes', opaque(1_000) as Schema<unknown>],
    ['an array', typedParams(262_144) as Schema<unknown>],
    ['counted chars', charBytes(65_536) as Schema<unknown>],
  ])('%s that announces four billion items is refused before anything is allocated', (_what, schema) => {
    expect(() => decode(schema, huge)).toThrow(/at most|only/);
  });

  test('a count within the limit that the message cannot hold is refused', () => {
    expect(() => decode(typedParams(262_144), hex('00040000 00000000 00000000 00000000'))).toThrow(
      /only 12 bytes follow/,
    );
  });

  test('a count read as negative elsewhere is just as large here', () => {
    expect(() => decode(array(int32(), 16), hex('80000001 00000000'))).toThrow(/at most 16/);
  });

  test('an optional value marked neither present nor absent is refused', () => {
    expect(() => decode(optional(int32()), hex('00000002 00000000'))).toThrow(XdrError);
  });

  test('an unknown type in a union is refused', () => {
    expect(() => decode(typedParam, hex('00000000 00000009 00000000'))).toThrow(/unknown type 9/);
  });

  test('nobody can declare an array whose items take no bytes', () => {
    expect(() => array(struct({}), 10)).toThrow(TypeError);
  });
});

describe('what cannot be sent', () => {
  const cases: readonly (readonly [what: string, schema: Schema<unknown>, value: unknown])[] = [
    ['a fraction', int32() as Schema<unknown>, 1.5],
    ['an int beyond 32 bits', int32() as Schema<unknown>, 2 ** 31],
    ['a negative unsigned int', uint32() as Schema<unknown>, -1],
    ['a negative unsigned hyper', uhyper() as Schema<unknown>, -1n],
    ['a hyper beyond 64 bits', hyper() as Schema<unknown>, 1n << 63n],
    ['a string with a NUL, which would arrive cut', string() as Schema<unknown>, 'a\0b'],
    ['a string over the limit', string(4) as Schema<unknown>, 'abcde'],
    ['a string over the limit in bytes only', string(4) as Schema<unknown>, 'ééé'],
    ['too many items', array(int32(), 2) as Schema<unknown>, [1, 2, 3]],
    ['too many bytes', opaque(2) as Schema<unknown>, Buffer.alloc(3)],
    ['what is no uuid', uuid() as Schema<unknown>, 'vm'],
    [
      'a type the union does not have',
      union({ a: [1, int32()] }) as Schema<unknown>,
      { type: 'b', value: 1 },
    ],
    ['a C string without room for its NUL', charArray(2) as Schema<unknown>, 'ab'],
    ['a char beyond 255', unsignedChar() as Schema<unknown>, 256],
  ];

  test.each(cases)('%s', (_what, schema, value) => {
    expect(() => encode(schema, value)).toThrow(XdrError);
  });

  test('a message longer than its limit, however it is put together', () => {
    const writer = new XdrWriter(10);
    writer.uint32(1);
    expect(() => writer.uint64(1n)).toThrow(/more than 10 bytes/);
  });
});
