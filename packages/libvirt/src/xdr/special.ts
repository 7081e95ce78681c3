// Schemas for what libvirt's protocol has beyond plain XDR: uuids, C chars, and tagged unions.

import { XdrError } from './error.ts';
import type { XdrReader } from './reader.ts';
import type { Infer, Schema, UnionArm } from './schema.ts';

const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

const UUID: Schema<string> = {
  shape: { is: 'uuid' },
  minBytes: 16,
  write: (writer, value) => {
    if (!UUID_PATTERN.test(value)) throw new XdrError('encode', `not a uuid: ${value}`);
    writer.fixedOpaque(Buffer.from(value.replaceAll('-', ''), 'hex'));
  },
  read: (reader) => {
    const hex = reader.fixedOpaque(16).toString('hex');
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  },
};

/** 16 raw bytes on the wire; lower-case and dashed here. */
export const uuid = (): Schema<string> => UUID;

const UNSIGNED_CHAR: Schema<number> = {
  shape: { is: 'unsignedChar' },
  minBytes: 4,
  write: (writer, value) => {
    if (value > 0xff) throw new XdrError('encode', `not an unsigned char: ${value}`);
    writer.uint32(value);
  },
  read: (reader) => {
    const value = reader.uint32();
    if (value > 0xff) throw new XdrError('decode', `not an unsigned char: ${value}`);
    return value;
  },
};

/** One C char takes four bytes on the wire (XDR has no smaller item). */
export const unsignedChar = (): Schema<number> => UNSIGNED_CHAR;

/** `char x[n]`: n chars of four bytes each, a C string inside. Read only up to its NUL. */
export function charArray(length: number): Schema<string> {
  return {
    shape: { is: 'charArray', max: length },
    minBytes: length * 4,
    write: (writer, value) => {
      const bytes = Buffer.from(value, 'utf8');
      if (bytes.length >= length || bytes.includes(0)) {
        throw new XdrError('encode', `does not fit a C string of ${length} bytes: ${value}`);
      }
      for (let i = 0; i < length; i++) writer.int32(signed(bytes[i] ?? 0));
    },
    read: (reader) => {
      const bytes = Buffer.alloc(length);
      for (let i = 0; i < length; i++) bytes[i] = reader.int32() & 0xff;
      const end = bytes.indexOf(0);
      return bytes.toString('utf8', 0, end === -1 ? length : end);
    },
  };
}

/** `char x<max>`: a count, then each byte in four. SASL data travels so. */
export function charBytes(max: number): Schema<Uint8Array> {
  return {
    shape: { is: 'charBytes', max },
    minBytes: 4,
    write: (writer, value) => {
      if (value.byteLength > max) {
        throw new XdrError('encode', `${value.byteLength} bytes, at most ${max} can be sent`);
      }
      writer.uint32(value.byteLength);
      for (const byte of value) writer.int32(signed(byte));
    },
    read: (reader) => {
      const bytes = Buffer.alloc(reader.count(max, 4));
      for (let i = 0; i < bytes.length; i++) bytes[i] = reader.int32() & 0xff;
      return bytes;
    },
  };
}

function signed(byte: number): number {
  return byte > 0x7f ? byte - 0x100 : byte;
}

type Arms = Readonly<Record<string, readonly [tag: number, value: { read(reader: XdrReader): unknown }]>>;
type UnionOf<A extends Arms> = {
  [K in keyof A & string]: { readonly type: K; readonly value: Infer<A[K][1]> };
}[keyof A & string];

/** `union switch (int type)`: `{ type, value }`, the type by name. An unknown tag ends the message. */
export function union<const A extends Arms>(arms: A): Schema<UnionOf<A>> {
  const byTag = new Map<number, UnionArm>();
  const byType = new Map<string, { tag: number; value: Schema<unknown> }>();
  for (const [type, [tag, schema]] of Object.entries(arms)) {
    const value = schema as Schema<unknown>;
    byTag.set(tag, { type, value });
    byType.set(type, { tag, value });
  }
  return {
    shape: { is: 'union', arms: byTag },
    minBytes: 4 + Math.min(...[...byTag.values()].map((arm) => arm.value.minBytes)),
    write: (writer, value) => {
      const arm = byType.get(value.type);
      if (arm === undefined) throw new XdrError('encode', `no such type in this union: ${value.type}`);
      writer.int32(arm.tag);
      arm.value.write(writer, value.value);
    },
    read: (reader) => {
      const tag = reader.int32();
      const arm = byTag.get(tag);
      if (arm === undefined) throw new XdrError('decode', `unknown type ${tag} in a union`);
      return { type: arm.type, value: arm.value.read(reader) } as UnionOf<A>;
    },
  };
}
