// A move as JSON lines: plan, phase, step, progress, warning, result.
import { type CopiedImage, type MoveRecord, type Plan, type Report, secretOf } from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import { namesOf, type Result } from '../../outcome/result.ts';
import { continuingWords } from '../../outcome/work-words.ts';
import { addressed } from '../addressed.ts';
import type { MoveView } from '../move-view.ts';
import { formatLine, type JsonLine } from './lines.ts';
import { reportLine } from './report.ts';

export class JsonMoveView implements MoveView {
  readonly #write: (text: string) => void;
  readonly #uri: string | undefined;
  #names: Pick<Result, 'domain' | 'disk'> = { domain: undefined, disk: undefined };

  /** @param uri as given with -c, so that advised commands carry it */
  constructor(write: (text: string) => void, uri?: string) {
    this.#write = write;
    this.#uri = uri;
  }

  plan(plan: Plan): void {
    this.#of(plan.move);
    this.#line(planLine(plan));
    for (const { code, message } of plan.warnings) {
      this.#say({ type: 'warning', code, message: addressed(message, this.#uri) });
    }
  }

  continuing(move: MoveRecord): void {
    this.#of(move);
    this.#say({ type: 'warning', code: 'continuing', message: continuingWords(move) });
  }

  about(move: MoveRecord): void {
    this.#of(move);
  }

  report(report: Report): void {
    const line = reportLine(report, this.#uri);
    if (line !== undefined) this.#say(line);
  }

  stopping(): void {}

  result(result: Result): void {
    this.#line(resultLine(result, this.#uri));
  }

  #of(move: MoveRecord): void {
    const { domain, disk } = namesOf(move);
    this.#names = { domain, disk };
  }

  #say({ type, ...rest }: JsonLine): void {
    this.#line({ type, ...this.#names, ...rest });
  }

  #line(line: JsonLine): void {
    this.#write(formatLine(line));
  }
}

export function resultLine(result: Result, uri: string | undefined): JsonLine {
  return { type: 'result', ...resultFields(result, uri) };
}

function resultFields(result: Result, uri: string | undefined): Readonly<Record<string, unknown>> {
  const { outcome, exitCode, error, disks, images, ...known } = result;
  const { removals: _, cannotBeKept: __, copy: ___, ...rest } = known;
  const each = disks && { disks: disks.map((disk) => resultFields(disk, uri)) };
  const made = images && { images: images.map(copiedImage) };
  return { outcome, exitCode, ...rest, ...made, ...each, error: errorObject(error, uri) };
}

function copiedImage({ path, format, secret, virtualSize, allocated, backing }: CopiedImage): object {
  return { path, format, ...lockedPart(secret), virtualSize, allocated, backing };
}

/** Of an image in LUKS. */
function lockedPart(secret: string | undefined): object {
  return secret === undefined ? {} : { secret };
}

/** An error with its advised commands made to reach the connection. */
export function errorObject(error: Result['error'], uri: string | undefined): object | undefined {
  if (error === undefined) return undefined;
  const { code, message, hint } = error;
  return { code, message: addressed(message, uri), hint: hint && addressed(hint, uri) };
}

export function planLine(plan: Plan): JsonLine {
  const { move } = plan;
  return {
    type: 'plan',
    ...namesOf(move),
    id: move.id,
    scope: move.scope,
    strategy: move.strategy,
    ...(move.group && { group: move.group }),
    why: plan.why,
    format: move.destination.format,
    bytes: plan.bytes,
    capacity: plan.capacity,
    overlay: move.layered && describeSource(move.layered.overlay.source),
    chainBefore: plan.chainBefore.map(imageOf),
    chainAfter: plan.chainAfter.map(imageOf),
    ...(plan.copies && { copies: plan.copies.map(imageOf) }),
    steps: plan.steps,
  };
}

function imageOf({ source, format }: Plan['chainBefore'][number]): object {
  return { path: describeSource(source), format, ...lockedPart(secretOf(source.encryption)) };
}
