// What QEMU sends over QMP (docs/interop/qmp-spec), parsed strictly: anything else ends the connection.
import { type ExactJson, isJsonObject, type JsonObject, parseExactJson } from '../json/exact-json.ts';
import { QmpConnectionError } from './errors.ts';

export interface QemuVersion {
  readonly major: number;
  readonly minor: number;
  readonly micro: number;
}

export interface QmpEvent {
  readonly event: string;
  readonly data: JsonObject;
  /** Microseconds since 1970 by the clock of QEMU's host; null if it could not tell. */
  readonly timestampUs: bigint | null;
}

export type QmpMessage =
  | { readonly kind: 'greeting'; readonly version: QemuVersion }
  | { readonly kind: 'event'; readonly event: QmpEvent }
  | { readonly kind: 'return'; readonly id: ExactJson | undefined; readonly value: ExactJson }
  | {
      readonly kind: 'error';
      readonly id: ExactJson | undefined;
      readonly errorClass: string;
      readonly description: string;
    };

/** Parses one line. Throws QmpConnectionError 'malformed'. */
export function parseMessage(line: string): QmpMessage {
  const message = parseLine(line);
  if (isJsonObject(message)) {
    const parsed = parseGreeting(message) ?? parseEvent(message) ?? parseReply(message);
    if (parsed) return parsed;
  }
  throw new QmpConnectionError('malformed', `no QMP message: ${line.slice(0, 200)}`);
}

function parseLine(line: string): ExactJson {
  try {
    return parseExactJson(line);
  } catch (error) {
    throw new QmpConnectionError('malformed', `no JSON: ${line.slice(0, 200)}`, { cause: error });
  }
}

function parseGreeting({ QMP: greeting }: JsonObject): QmpMessage | null {
  if (!isJsonObject(greeting) || !isJsonObject(greeting.version)) return null;
  const { qemu } = greeting.version;
  if (!isJsonObject(qemu)) return null;
  const version = { major: Number(qemu.major), minor: Number(qemu.minor), micro: Number(qemu.micro) };
  return { kind: 'greeting', version };
}

function parseEvent({ event, data = {}, timestamp }: JsonObject): QmpMessage | null {
  if (typeof event !== 'string' || !isJsonObject(data) || !isJsonObject(timestamp)) return null;
  const { seconds, microseconds } = timestamp;
  if (typeof seconds !== 'bigint' || typeof microseconds !== 'bigint') return null;
  const timestampUs = seconds < 0n ? null : seconds * 1_000_000n + microseconds;
  return { kind: 'event', event: { event, data, timestampUs } };
}

function parseReply({ return: value, error, id }: JsonObject): QmpMessage | null {
  if (value !== undefined) return { kind: 'return', id, value };
  if (!isJsonObject(error)) return null;
  const { class: errorClass, desc: description } = error;
  if (typeof errorClass !== 'string' || typeof description !== 'string') return null;
  return { kind: 'error', id, errorClass, description };
}
