// JSON in which integers keep all their digits: QEMU's offsets and sizes are 64 bits wide, JavaScript's numbers 53.

/** A parsed JSON value: every integer is a bigint, whatever its size; a number is always a fraction. */
export type ExactJson =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly ExactJson[]
  | { readonly [key: string]: ExactJson };

/** What may be sent: integers may also be plain numbers, and absent members may be `undefined`. */
export type JsonInput =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly JsonInput[]
  | { readonly [key: string]: JsonInput | undefined };

export type JsonObject = { readonly [key: string]: ExactJson };

type SourceReviver = (key: string, value: unknown, context: { source?: string }) => unknown;
// TypeScript's library does not know the reviver's third parameter and rawJSON yet (ES2026, Node 24 has both).
const { parse: parseWithSource, rawJSON } = JSON as unknown as {
  parse(text: string, reviver: SourceReviver): unknown;
  rawJSON(text: string): unknown;
};

const INTEGER = /^-?\d+$/;

/** Parses JSON; throws SyntaxError when it is malformed or nested too deep. Integers become bigint. */
export function parseExactJson(text: string): ExactJson {
  try {
    return parseWithSource(text, (_key, value, { source }) =>
      typeof value === 'number' && source !== undefined && INTEGER.test(source) ? BigInt(source) : value,
    ) as ExactJson;
  } catch (error) {
    if (error instanceof RangeError) throw new SyntaxError('JSON nested too deep', { cause: error });
    throw error;
  }
}

/** Serializes; bigints are written as integers. Throws TypeError for text that is not well-formed Unicode. */
export function formatExactJson(value: JsonInput): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === 'bigint') return rawJSON(String(item));
    if (typeof item === 'string' && !item.isWellFormed()) {
      throw new TypeError(`not well-formed Unicode: ${JSON.stringify(item)}`);
    }
    return item;
  });
}

/** True for a JSON object (not an array, not null). */
export function isJsonObject(value: ExactJson | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
