// Finds where every element, tag and attribute stands in a piece of XML. It checks only what the DOM parser
// lets pass (bare ampersands, control characters) or must never see (DOCTYPE); the rest is the parser's work.
import { DomainXmlError } from './errors.ts';

/** Offsets into the text, in UTF-16 units; `end` is exclusive. */
export type Span = { readonly start: number; readonly end: number };

export type AttributeSpan = Span & {
  readonly name: string;
  /** The value without its quotes. */
  readonly value: Span;
};

export type ElementSpan = Span & {
  readonly name: string;
  readonly startTag: Span;
  /** Where the tag's name ends: new attributes go in here. */
  readonly nameEnd: number;
  readonly attributes: readonly AttributeSpan[];
  /** What is between the tags; undefined for `<empty/>`. */
  readonly content: Span | undefined;
};

type OpenElement = { -readonly [K in keyof ElementSpan]: ElementSpan[K] };

/**
 * Every element of `text` in document order.
 *
 * @throws DomainXmlError `doctype`, or `malformed` for text whose tags cannot be told apart.
 */
export function scanElements(text: string): ElementSpan[] {
  checkCharacters(text);
  const found: OpenElement[] = [];
  const open: OpenElement[] = [];
  let at = 0;
  while (at < text.length) {
    const start = text.indexOf('<', at);
    checkReferences(text, at, start < 0 ? text.length : start);
    if (start < 0) break;
    at = skipNonElement(text, start);
    if (at > start) continue;
    if (text.startsWith('</', start)) {
      at = after(text, '>', start);
      closeElement(open, start, at);
      continue;
    }
    const tag = readStartTag(text, start);
    found.push(tag);
    at = tag.startTag.end;
    if (tag.content !== undefined) open.push(tag);
  }
  if (open.length > 0) throw malformed('an element is not closed');
  return found;
}

function closeElement(open: OpenElement[], start: number, end: number): void {
  const element = open.pop();
  if (element === undefined) throw malformed('an end tag without a start tag');
  element.content = { start: element.startTag.end, end: start };
  element.end = end;
}

/** The offset behind a comment, CDATA section or processing instruction at `start`; `start` when it is none. */
function skipNonElement(text: string, start: number): number {
  if (text.startsWith('<!--', start)) return after(text, '-->', start + 4);
  if (text.startsWith('<![CDATA[', start)) return after(text, ']]>', start + 9);
  if (text.startsWith('<?', start)) return after(text, '?>', start + 2);
  if (text.startsWith('<!', start)) {
    throw new DomainXmlError('doctype', 'the XML carries a DOCTYPE or another declaration, which is refused');
  }
  return start;
}

function after(text: string, end: string, from: number): number {
  const at = text.indexOf(end, from);
  if (at < 0) throw malformed(`"${end}" is missing`);
  return at + end.length;
}

function readStartTag(text: string, start: number): OpenElement {
  const nameEnd = endOf(/[^ \t\r\n/>]+/y, text, start + 1);
  const attributes: AttributeSpan[] = [];
  let at = nameEnd;
  for (;;) {
    const space = endOf(/[ \t\r\n]*/y, text, at);
    const close = /\/?>/y;
    close.lastIndex = space;
    const match = close.exec(text)?.[0];
    if (match !== undefined) {
      const startTag = { start, end: space + match.length };
      const content = match === '/>' ? undefined : { start: startTag.end, end: startTag.end };
      const name = text.slice(start + 1, nameEnd);
      return { name, start, end: startTag.end, startTag, nameEnd, attributes, content };
    }
    const attribute = readAttribute(text, space);
    attributes.push(attribute);
    at = attribute.end;
  }
}

function readAttribute(text: string, start: number): AttributeSpan {
  const nameEnd = endOf(/[^ \t\r\n=/><'"]+/y, text, start);
  const quoteAt = endOf(/[ \t\r\n]*=[ \t\r\n]*/y, text, nameEnd);
  const quote = text.charAt(quoteAt);
  if (quote !== '"' && quote !== "'") throw malformed('an attribute value is not quoted');
  const end = after(text, quote, quoteAt + 1);
  checkReferences(text, quoteAt + 1, end - 1);
  return { name: text.slice(start, nameEnd), start, end, value: { start: quoteAt + 1, end: end - 1 } };
}

function endOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  const match = pattern.exec(text);
  if (match === null) throw malformed(`unexpected ${JSON.stringify(text.slice(at, at + 20))}`);
  return at + match[0].length;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const notXmlCharacter = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;

function checkCharacters(text: string): void {
  if (notXmlCharacter.test(text) || !text.isWellFormed()) throw malformed('a character XML does not allow');
}

const reference = /&(?:(amp|lt|gt|quot|apos)|#(\d+)|#x([0-9a-fA-F]+))?(;?)/g;

function checkReferences(text: string, start: number, end: number): void {
  for (const match of text.slice(start, end).matchAll(reference)) {
    const [whole, named, decimal, hexadecimal, semicolon] = match;
    if (semicolon === '' || whole === '&;') throw malformed('"&" that begins no known entity');
    if (named !== undefined) continue;
    const code = decimal !== undefined ? Number(decimal) : Number.parseInt(hexadecimal ?? '', 16);
    const allowed = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    if (!allowed || notXmlCharacter.test(String.fromCodePoint(code))) {
      throw malformed(`${whole} is a character XML does not allow`);
    }
  }
}

function malformed(reason: string): DomainXmlError {
  return new DomainXmlError('malformed', `not well-formed XML: ${reason}`, { reason });
}
