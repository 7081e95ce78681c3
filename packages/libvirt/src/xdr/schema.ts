// Schema combinators: one declaration gives the wire format and the TypeScript type (`Infer`).

import { XdrError } from './error.ts';
import type { XdrReader } from './reader.ts';
import type { XdrWriter } from './writer.ts';

/** What a schema is made of, as data: tests derive values for every schema from it. */
export type Shape =
  | { readonly is: 'int32' | 'uint32' | 'int64' | 'uint64' | 'float64' | 'bool' | 'uuid' | 'unsignedChar' }
  | { readonly is: 'string' | 'opaque' | 'charBytes' | 'charArray'; readonly max: number }
  | { readonly is: 'optional'; readonly of: Schema<unknown> }
  | { readonly is: 'array'; readonly of: Schema<unknown>; readonly max: number }
  | { readonly is: 'struct'; readonly fields: Readonly<Record<string, Schema<unknown>>> }
  | { readonly is: 'union'; readonly arms: ReadonlyMap<number, UnionArm> };

export interface UnionArm {
  readonly type: string;
  readonly value: Schema<unknown>;
}

export interface Schema<T> {
  readonly shape: Shape;
  /** The least number of bytes any value takes: what lets a reader refuse an absurd array count. */
  readonly minBytes: number;
  write(writer: XdrWriter, value: T): void;
  read(reader: XdrReader): T;
}

/** The TypeScript type of a schema's values. */
export type Infer<S> = S extends { read(reader: XdrReader): infer T } ? T : never;

/** `REMOTE_STRING_MAX` of the current protocol: one byte more is answered by error 39. */
export const MAX_STRING_BYTES = 4_194_304;

function scalar<T>(is: 'int32' | 'uint32' | 'int64' | 'uint64' | 'float64', minBytes: number) {
  return {
    shape: { is },
    minBytes,
    write: (writer: XdrWriter, value: T) => (writer[is] as (value: T) => void).call(writer, value),
    read: (reader: XdrReader) => (reader[is] as () => T).call(reader),
  } satisfies Schema<T>;
}

const INT32: Schema<number> = scalar('int32', 4);
const UINT32: Schema<number> = scalar('uint32', 4);
const INT64: Schema<bigint> = scalar('int64', 8);
const UINT64: Schema<bigint> = scalar('uint64', 8);
const FLOAT64: Schema<number> = scalar('float64', 8);

/** XDR int, and every C enum. */
export const int32 = (): Schema<number> => INT32;
export const uint32 = (): Schema<number> => UINT32;
/** XDR hyper. */
export const hyper = (): Schema<bigint> => INT64;
/** XDR unsigned hyper. */
export const uhyper = (): Schema<bigint> => UINT64;
export const double = (): Schema<number> => FLOAT64;

const BOOL: Schema<boolean> = {
  shape: { is: 'bool' },
  minBytes: 4,
  write: (writer, value) => writer.int32(value ? 1 : 0),
  read: (reader) => reader.int32() !== 0,
};

/** libvirt declares its booleans as int; any non-zero value is true. */
export const intBool = (): Schema<boolean> => BOOL;

export function string(maxBytes: number = MAX_STRING_BYTES): Schema<string> {
  return {
    shape: { is: 'string', max: maxBytes },
    minBytes: 4,
    write: (writer, value) => writer.string(value, maxBytes),
    read: (reader) => reader.string(maxBytes),
  };
}

/** Variable-length bytes: a count, the bytes, padding. */
export function opaque(maxBytes: number): Schema<Uint8Array> {
  return {
    shape: { is: 'opaque', max: maxBytes },
    minBytes: 4,
    write: (writer, value) => {
      if (value.byteLength > maxBytes) {
        throw new XdrError('encode', `${value.byteLength} bytes, at most ${maxBytes} can be sent`);
      }
      writer.uint32(value.byteLength);
      writer.fixedOpaque(value);
    },
    read: (reader) => reader.fixedOpaque(reader.count(maxBytes, 1)),
  };
}

/** An optional value (`T *x` in the protocol's source): null on the TypeScript side. */
export function optional<T>(of: Schema<T>): Schema<T | null> {
  return {
    shape: { is: 'optional', of: of as Schema<unknown> },
    minBytes: 4,
    write: (writer, value) => {
      writer.uint32(value === null ? 0 : 1);
      if (value !== null) of.write(writer, value);
    },
    read: (reader) => {
      const present = reader.uint32();
      if (present > 1) throw new XdrError('decode', `an optional value marked ${present} instead of 0 or 1`);
      return present === 1 ? of.read(reader) : null;
    },
  };
}

/** A counted array of at most `max` items. */
export function array<T>(of: Schema<T>, max: number): Schema<readonly T[]> {
  if (of.minBytes === 0) throw new TypeError('an array of items without bytes has no bounded length');
  return {
    shape: { is: 'array', of: of as Schema<unknown>, max },
    minBytes: 4,
    write: (writer, value) => {
      if (value.length > max) {
        throw new XdrError('encode', `${value.length} items, at most ${max} can be sent`);
      }
      writer.uint32(value.length);
      for (const item of value) of.write(writer, item);
    },
    read: (reader) => {
      const count = reader.count(max, of.minBytes);
      const items: T[] = [];
      for (let i = 0; i < count; i++) items.push(of.read(reader));
      return items;
    },
  };
}

type Fields = Readonly<Record<string, Schema<unknown>>>;
type AnyFields = Readonly<Record<string, { read(reader: XdrReader): unknown }>>;
type StructOf<F> = { readonly [K in keyof F]: Infer<F[K]> };

/** Fields in wire order. */
export function struct<const F extends AnyFields>(fields: F): Schema<StructOf<F>> {
  // The one place that widens: field schemas are invariant in their value type, a record of them is not typable.
  const entries = Object.entries(fields as unknown as Fields);
  return {
    shape: { is: 'struct', fields: fields as unknown as Fields },
    minBytes: entries.reduce((sum, [, schema]) => sum + schema.minBytes, 0),
    write: (writer, value) => {
      const record = value as Readonly<Record<string, unknown>>;
      for (const [name, schema] of entries) schema.write(writer, record[name]);
    },
    read: (reader) => {
      const record: Record<string, unknown> = {};
      for (const [name, schema] of entries) record[name] = schema.read(reader);
      return record as StructOf<F>;
    },
  };
}
