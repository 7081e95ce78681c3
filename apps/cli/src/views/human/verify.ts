// A comparison for people: progress, then the same or not, and where.
import {
  type Difference,
  type Holder,
  unreachable,
  type Verified,
  type VerifiedChain,
  type VerifyReport,
} from '@blockferry/engine';
import type { Result } from '../../outcome/result.ts';
import type { Io } from '../../terminal/io.ts';
import { formatBytes, formatDuration } from '../format.ts';
import { resultText } from './result.ts';
import { StatusLine } from './status-line.ts';

export class HumanVerifyView {
  readonly #io: Io;
  readonly #status: StatusLine;

  constructor(io: Io) {
    this.#io = io;
    this.#status = new StatusLine(io);
  }

  report(report: VerifyReport): void {
    if (report.type === 'warning') {
      this.#status.line(`warning: ${report.message}`);
      return;
    }
    const { compared: copied, total, rate, etaMs } = report;
    const progress = { type: 'progress', copied, total, rate, etaMs, guestWriteRate: undefined } as const;
    this.#status.show({ phase: 'comparing', progress }, false);
  }

  verified(verified: Verified): void {
    this.#status.clear();
    this.#io.out(verifiedText(verified));
  }

  failed(result: Result): void {
    this.#status.clear();
    this.#io.err(resultText(result));
  }
}

function verifiedText({ a, b, difference, durationMs }: Verified): string {
  const lines = [
    difference === undefined ? 'same' : `different: ${differenceWords(difference)}`,
    `  A  ${chainWords(a)}`,
    `  B  ${chainWords(b)}`,
    ...(difference === undefined ? tailWords(a, b) : []),
    `  took ${formatDuration(durationMs)}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** Where they differ, and what holds it on either side. */
export function differenceWords({ offset, a, b }: Difference): string {
  return `from byte ${offset} on (in steps of 512); there A ${holderWords(a)}, B ${holderWords(b)}`;
}

function holderWords(holder: Holder): string {
  switch (holder.kind) {
    case 'image':
      return `has ${holder.path}`;
    case 'nothing':
      return 'has nothing, and shows zeros';
    case 'end':
      return 'has ended';
    default:
      return unreachable(holder);
  }
}

function chainWords({ path, format, size, images }: VerifiedChain): string {
  const more = images.length === 1 ? '' : `, ${images.length} images`;
  return `${path} (${format}, ${formatBytes(size)}${more})`;
}

function tailWords(a: VerifiedChain, b: VerifiedChain): string[] {
  if (a.size === b.size) return [];
  const [longer, rest] = a.size > b.size ? ['A', a.size - b.size] : ['B', b.size - a.size];
  return [`  ${longer} is longer by ${rest} bytes, all of them zeros`];
}
