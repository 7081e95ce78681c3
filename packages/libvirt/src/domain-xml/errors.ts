// The one error type of this folder: what is wrong with a piece of libvirt XML, as data.

/**
 * - `malformed`: not well-formed XML, or not the element that was expected
 * - `doctype`: carries a DOCTYPE, which is refused (entities could read files or grow without bound)
 * - `no-such-disk`: the domain has no disk with that target
 * - `ambiguous`: an element that must be unique appears twice, so an edit could hit the wrong one
 * - `unrepresentable`: a value that XML or libvirt cannot carry (a line break in a path)
 */
export type DomainXmlErrorCode = 'malformed' | 'doctype' | 'no-such-disk' | 'ambiguous' | 'unrepresentable';

export class DomainXmlError extends Error {
  override readonly name = 'DomainXmlError';
  readonly code: DomainXmlErrorCode;
  readonly facts: Readonly<Record<string, string | number>>;

  constructor(
    code: DomainXmlErrorCode,
    message: string,
    facts: Readonly<Record<string, string | number>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.facts = facts;
  }
}
