// One call of qemu-img: its argument list, its deadline, its words turned into a typed error.
import type { Host, RunResult } from '../host/host.ts';
import { toObjectArguments } from '../image/blockdev.ts';
import type { Image } from '../image/location.ts';
import { type ExactJson, isJsonObject, type JsonObject, parseExactJson } from '../json/exact-json.ts';
import { QemuImgError } from './errors.ts';
import { secretsFor } from './secrets.ts';

/** For verbs that look at headers: default 30 s. */
export interface QuickOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** For verbs that read or write whole images: how long is for the caller to say. */
export type LongOptions =
  | { readonly timeoutMs: number; readonly signal?: AbortSignal }
  | { readonly signal: AbortSignal; readonly timeoutMs?: number };

/** Called with the part that is done, from 0 to 1. */
export type OnProgress = (fraction: number) => void;

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
  /** All images whose credentials and passphrases the call needs, the one to blame first. */
  readonly images: readonly [Image, ...Image[]];
  readonly args: readonly string[];
  readonly limits: { readonly timeoutMs: number; readonly signal?: AbortSignal };
  /** Exit statuses that are answers; default only 0. */
  readonly answers?: readonly number[];
  /** For verbs that know `-p`. */
  readonly onProgress?: OnProgress | undefined;
}

const PROGRESS = /\((\d+\.\d+)\/100%\)/;
const PROGRESS_LINES = /\s*\(\d+\.\d+\/100%\)[\r\n]*/g;

/** Runs it. Throws QemuImgError, and HostError when it could not be run to its end. Safe to repeat if the verb is. */
export async function invoke(host: Host, call: Call): Promise<RunResult & { code: number }> {
  const { onProgress } = call;
  const progress = onProgress ? ['-p'] : [];
  const secrets = secretsFor(call.images);
  const objects = [...toObjectArguments(...call.images), ...(secrets?.args ?? [])];
  const argv = ['qemu-img', call.verb, ...objects, ...progress, ...call.args];
  const result = await host.run(argv, {
    ...call.limits,
    ...(secrets && { input: secrets.input }),
    maxOutputBytes: 256 * 1024 * 1024,
    ...(onProgress ? { onStdout: (text) => reportProgress(text, onProgress) } : {}),
  });
  const { code } = result;
  if (code !== null && (call.answers ?? [0]).includes(code)) {
    return {
      ...result,
      stdout: onProgress ? result.stdout.replaceAll(PROGRESS_LINES, '') : result.stdout,
      code,
    };
  }
  const stderr = result.stderr || `exit status ${code ?? result.signal}`;
  throw new QemuImgError({ operation: call.verb, location: call.images[0].location, stderr });
}

function reportProgress(text: string, onProgress: OnProgress): void {
  const percent = PROGRESS.exec(text.slice(text.lastIndexOf('(')))?.[1];
  if (percent !== undefined) onProgress(Number(percent) / 100);
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
