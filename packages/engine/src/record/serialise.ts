// A record as text and back. What comes back was written by any version of us, or by somebody's hand.
import type { MoveRecord } from '../model/record.ts';

const VERSION = 1;

export function formatRecord(record: MoveRecord): string {
  return formatWithBigints(record);
}

/** JSON, in which big integers are `{"bigint": "…"}`. */
export function formatWithBigints(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'bigint' ? { bigint: `${each}` } : each,
  );
}

/** @throws RecordUnreadable when it is no JSON */
export function parseWithBigints(text: string): unknown {
  try {
    return JSON.parse(text, (_, value: unknown) => (isBigint(value) ? BigInt(value.bigint) : value));
  } catch (error) {
    throw new RecordUnreadable('it is not JSON', { cause: error });
  }
}

/**
 * @throws RecordUnreadable for text that is no record, or one of a version we do not know: then nobody may act on it.
 */
export function parseRecord(text: string): MoveRecord {
  const parsed = parseWithBigints(text);
  if (!isRecord(parsed)) throw new RecordUnreadable('fields are missing or of another version');
  return parsed;
}

/** A record that this version cannot read. */
export class RecordUnreadable extends Error {
  override readonly name = 'RecordUnreadable';
  readonly why: string;

  /** @param whose such as `of vda of web` */
  constructor(why: string, options?: ErrorOptions, whose?: string) {
    super(`the record ${whose === undefined ? '' : `${whose} `}cannot be read: ${why}`, options);
    this.why = why;
  }
}

function isBigint(value: unknown): value is { bigint: string } {
  return typeof value === 'object' && value !== null && 'bigint' in value && typeof value.bigint === 'string';
}

const FIELDS = [
  'id',
  'domain',
  'disk',
  'origin',
  'destination',
  'ownership',
  'options',
  'phase',
  'goal',
  'destinationXml',
];

function isRecord(value: unknown): value is MoveRecord {
  if (typeof value !== 'object' || value === null) return false;
  if (!('version' in value) || value.version !== VERSION) return false;
  return FIELDS.every((field) => field in value);
}
