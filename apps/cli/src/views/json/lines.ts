// One JSON object a line on stdout; the shapes are documented in docs/json.md.

const JSON_VERSION = 1;

export interface JsonLine {
  readonly type: string;
  readonly [key: string]: unknown;
}

/** One line. Every object carries the version of the shapes; absent values are null. */
export function formatLine({ type, ...rest }: JsonLine): string {
  return `${JSON.stringify({ v: JSON_VERSION, type, ...rest }, plain)}\n`;
}

/** Bytes are numbers as long as a reader without big integers gets them exactly; beyond that, strings. */
function plain(_: string, value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value !== 'bigint') return value;
  return value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER)
    ? Number(value)
    : String(value);
}
