// A parsed piece of XML together with its text: the DOM is for reading, the text is for editing. Edits cut and
// paste ranges of the text, so that every byte outside of them survives exactly as it was.
import { DOMParser, type Element } from '@xmldom/xmldom';
import { DomainXmlError } from './errors.ts';
import { type ElementSpan, scanElements } from './scan.ts';

export type XmlDocument = {
  readonly text: string;
  readonly root: Element;
  /** Where `element` stands in {@link text}. */
  readonly span: (element: Element) => ElementSpan;
  /** The text of `element`, verbatim. */
  readonly source: (element: Element) => string;
};

/**
 * Parses XML as strictly as libvirt's own parser: what the parser would merely warn of is an error here.
 *
 * @throws DomainXmlError `doctype` for a DOCTYPE, `malformed` for anything that is not well-formed.
 */
export function parseXml(text: string): XmlDocument {
  checkEncoding(text);
  const spans = scanElements(text);
  const root = parseRoot(text.startsWith('\ufeff') ? text.slice(1) : text);
  const elements = inDocumentOrder(root);
  if (elements.length !== spans.length || elements.some((one, i) => one.tagName !== spans[i]?.name)) {
    throw new DomainXmlError('malformed', 'the XML reads differently as text and as a tree');
  }
  const places = new Map(elements.map((one, index) => [one, spans[index]]));
  const span = (one: Element): ElementSpan => {
    const place = places.get(one);
    if (place === undefined) throw new TypeError('the element belongs to another document');
    return place;
  };
  return { text, root, span, source: (one) => text.slice(span(one).start, span(one).end) };
}

// A string is sent to libvirt as UTF-8; another declaration inside it would make libvirt read other characters.
function checkEncoding(text: string): void {
  const declared = /^\ufeff?<\?xml[^>]*?\sencoding\s*=\s*["']([^"']*)["']/.exec(text)?.[1];
  if (declared !== undefined && !/^(utf-?8|us-ascii)$/i.test(declared)) {
    throw new DomainXmlError('malformed', `the XML declares encoding ${declared}; only UTF-8 is accepted`, {
      encoding: declared,
    });
  }
}

function parseRoot(text: string): Element {
  const parser = new DOMParser({
    locator: false,
    // The XML 1.1 rule, which is the parser's default, would turn U+2028 in a path into a line break;
    // libvirt's parser follows XML 1.0, section 2.11.
    normalizeLineEndings: (source) => source.replace(/\r\n?/g, '\n'),
    onError: (_level, message) => {
      // U+FFFD is a character like any other, and may stand in a path.
      if (!message.startsWith('Unicode replacement character')) throw new Error(message);
    },
  });
  try {
    const root = parser.parseFromString(text, 'text/xml').documentElement;
    if (root === null) throw new Error('missing root element');
    return root;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DomainXmlError('malformed', `not well-formed XML: ${reason}`, { reason }, { cause });
  }
}

function inDocumentOrder(root: Element): Element[] {
  const found: Element[] = [];
  const visit = (one: Element): void => {
    found.push(one);
    for (const child of childElements(one)) visit(child);
  };
  visit(root);
  return found;
}

/** The child elements of `parent`, those called `name` when one is given (prefix included, as written). */
export function childElements(parent: Element, name?: string): Element[] {
  const found: Element[] = [];
  for (let node = parent.firstChild; node !== null; node = node.nextSibling) {
    if (isElement(node) && (name === undefined || node.tagName === name)) found.push(node);
  }
  return found;
}

function isElement(node: { nodeType: number }): node is Element {
  return node.nodeType === 1;
}

/** The first child element along `path`, like libvirt's own lookups. */
export function child(parent: Element | undefined, ...path: readonly string[]): Element | undefined {
  let at = parent;
  for (const name of path) at = at === undefined ? undefined : childElements(at, name)[0];
  return at;
}

/** An attribute's value; undefined when it is absent. */
export function attribute(of: Element | undefined, name: string): string | undefined {
  return of?.getAttribute(name) ?? undefined;
}

/** The text inside an element, CDATA included; undefined when the element is absent or empty. */
export function textOf(of: Element | undefined): string | undefined {
  const text = of?.textContent ?? '';
  return text === '' ? undefined : text;
}
