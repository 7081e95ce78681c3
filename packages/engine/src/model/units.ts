// Branded units: a number of bytes or milliseconds cannot be taken for one another.

/** A number of bytes. */
export type Bytes = bigint & { readonly unit?: 'bytes' };
/** A span of time in milliseconds. */
export type Millis = number & { readonly unit?: 'ms' };
/** Bytes a second. */
export type BytesPerSecond = bigint & { readonly unit?: 'bytes/s' };

/** Makes the compiler prove that a union was handled completely; throws if it was wrong. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
