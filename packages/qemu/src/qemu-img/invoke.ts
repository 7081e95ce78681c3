// One call of qemu-img: its argument list, its deadline, its words turned into a typed error.
import type { Host, RunResult } from '../host/host.ts';
import { toObjectArguments } from '../image/blockdev.ts';
import type { Image } from '../image/location.ts';
import { type ExactJson, isJsonObject, type JsonObject, parseExactJson } from '../json/exact-json.ts';
import { QemuImgError } from './errors.ts';

/** For verbs that look at headers: default 30 s. */
export interface QuickOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** For verbs that read or write whole images: how long is for the caller to say. */
export type LongOptions =
  | { readonly timeoutMs: number; readonly signal?: AbortSignal }
  | { readonly signal: AbortSignal; readonly timeoutMs?: number };

const QUICK_TIMEOUT_MS = 30_000;

/** The limits of a long verb, for Host.run. */
export function longLimits(options: LongOptions): { timeoutMs: number; signal?: AbortSignal } {
  return { timeoutMs: options.timeoutMs ?? Infinity, ...(options.signal ? { signal: options.signal } : {}) };
}

/** The limits of a quick verb, for Host.run. */
export function quickLimits(options: QuickOptions = {}): { timeoutMs: number; signal?: AbortSignal } {
  return {
    timeoutMs: options.timeoutMs ?? QUICK_TIMEOUT_MS,
    ...(options.signal ? { signal: options.signal } : {}),
  };
}

export interface Call {
  readonly verb: string;
  /** All images whose credentials the call needs, the one to blame first. */
  readonly images: readonly [Image, ...Image[]];
  readonly args: readonly string[];
  readonly limits: { readonly timeoutMs: number; readonly signal?: AbortSignal };
  /** Exit statuses that are answers; default only 0. */
  readonly answers?: readonly number[];
}

/** Runs it. Throws QemuImgError, and HostError when it could not be run to its end. Safe to repeat if the verb is. */
export async function invoke(host: Host, call: Call): Promise<RunResult & { code: number }> {
  const argv = ['qemu-img', call.verb, ...toObjectArguments(...call.images), ...call.args];
  const result = await host.run(argv, { ...call.limits, maxOutputBytes: 256 * 1024 * 1024 });
  const { code } = result;
  if (code !== null && (call.answers ?? [0]).includes(code)) return { ...result, code };
  const stderr = result.stderr || `exit status ${code ?? result.signal}`;
  throw new QemuImgError({ operation: call.verb, location: call.images[0].location, stderr });
}

/** Parses what `--output=json` printed. */
export function parseOutput(call: Call, stdout: string): ExactJson {
  try {
    return parseExactJson(stdout);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const stderr = `output that is no JSON: ${error.message}`;
    throw new QemuImgError({ operation: call.verb, location: call.images[0].location, stderr });
  }
}

/** The same, where the output is one object. */
export function parseObject(call: Call, stdout: string): JsonObject {
  const parsed = parseOutput(call, stdout);
  if (isJsonObject(parsed)) return parsed;
  const stderr = 'output that is no JSON object';
  throw new QemuImgError({ operation: call.verb, location: call.images[0].location, stderr });
}
