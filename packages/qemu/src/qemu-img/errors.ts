// Everything that qemu-img, or a chain of images, can refuse us, as types.
import { formatLocation, type Image, type Location } from '../image/location.ts';

export type QemuImgErrorCode =
  | 'no-such-file'
  | 'permission-denied'
  | 'in-use'
  | 'no-space'
  | 'not-this-format'
  | 'io-error'
  | 'unreachable'
  | 'exists'
  | 'other';

const PATTERNS: readonly (readonly [RegExp, QemuImgErrorCode, string])[] = [
  [
    /Failed to (get|lock)|Is another process using/,
    'in-use',
    'Something has the image open; end it, or wait.',
  ],
  [/No space left on device|Disk quota exceeded/, 'no-space', 'Make room on the storage of that image.'],
  [
    /Permission denied|Operation not permitted|Read-only file system/,
    'permission-denied',
    'Check its owner, mode and the mount.',
  ],
  [
    /Connection refused|Failed to connect|Connection reset|Network is unreachable|Transport endpoint/,
    'unreachable',
    'Is its server running?',
  ],
  [/File exists/, 'exists', 'Remove it if you know that nothing needs it, or choose another name.'],
  [/No such file or directory/, 'no-such-file', 'Check the path.'],
  [
    /[Ii]mage is not in|not in \w+ format|Invalid (magic|header)|is corrupt/,
    'not-this-format',
    'Check the declared format.',
  ],
  [/Input\/output error/, 'io-error', 'The storage fails to read or write; see the log of that host.'],
];

/** What QEMU's tools say, without their names and the json: trees that we gave them. */
export function plainWords(stderr: string): string {
  const unnamed = stderr.replaceAll(/^qemu-(?:img|io): /gm, '');
  const opened = unnamed.replaceAll(/(?:Could not open|can't open device) '?json:\{.*\}'?: /gs, '');
  return opened.replaceAll(/(reading offset \d+) of json:\{.*\}: /gs, '$1: ').trim();
}

/** qemu-img ended with an error. */
export class QemuImgError extends Error {
  override readonly name = 'QemuImgError';
  readonly code: QemuImgErrorCode;
  /** qemu-img's verb. */
  readonly operation: string;
  readonly location: Location;
  /** Its own words. */
  readonly stderr: string;
  readonly hint: string | undefined;

  constructor(facts: {
    operation: string;
    location: Location;
    stderr: string;
    code?: QemuImgErrorCode;
    hint?: string;
  }) {
    const known = PATTERNS.find(([pattern]) => pattern.test(facts.stderr));
    super(`qemu-img ${facts.operation} ${formatLocation(facts.location)}: ${plainWords(facts.stderr)}`);
    this.code = facts.code ?? known?.[1] ?? 'other';
    this.operation = facts.operation;
    this.location = facts.location;
    this.stderr = facts.stderr;
    this.hint = facts.hint ?? known?.[2];
  }
}

/** An image names a backing file but not its format, and guessing it would trust the guest. */
export class UndeclaredFormat extends Error {
  override readonly name = 'UndeclaredFormat';
  readonly image: Image;
  readonly reference: string;
  readonly hint: string;

  constructor(image: Image, reference: string) {
    super(`${formatLocation(image.location)}: its backing file ${reference} has no declared format`);
    this.image = image;
    this.reference = reference;
    this.hint =
      "If you know the format, declare it: qemu-img rebase -u -b BACKING -F FORMAT IMAGE (domain off), or in the domain's XML.";
  }
}

/** A chain that cannot be followed to its end. */
export class BrokenChain extends Error {
  override readonly name = 'BrokenChain';
  readonly why: 'missing' | 'not-an-image' | 'loop' | 'unknown-reference';
  /** The image that refers to it; null when it is the top itself. */
  readonly referrer: Image | null;
  /** What it refers to, in its own words. */
  readonly reference: string;
  readonly hint: string;

  constructor(
    why: BrokenChain['why'],
    facts: { referrer: Image | null; reference: string; detail: string; hint: string },
    options?: ErrorOptions,
  ) {
    const who = facts.referrer ? `${formatLocation(facts.referrer.location)}: its backing file ` : '';
    super(`${who}${facts.reference}: ${facts.detail}`, options);
    this.why = why;
    this.referrer = facts.referrer;
    this.reference = facts.reference;
    this.hint = facts.hint;
  }
}
