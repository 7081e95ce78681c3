// Edits of XML as ranges of its text: cut, put in, set an attribute. What no edit names stays, byte for byte.
import type { Element } from '@xmldom/xmldom';
import { attribute, child, childElements, type XmlDocument } from './document.ts';
import { DomainXmlError } from './errors.ts';
import { attributes } from './escape.ts';

export type Edit = { readonly start: number; readonly end: number; readonly text: string };

/** Sets an attribute in its place, or adds it before the others. */
export function setAttribute(document: XmlDocument, of: Element, name: string, value: string): Edit {
  return renameAttribute(document, of, name, name, value);
}

/** Puts the attribute `name` with `value` where `old` stands. */
export function renameAttribute(
  document: XmlDocument,
  of: Element,
  old: string,
  name: string,
  value: string,
): Edit {
  const span = document.span(of);
  const present = span.attributes.find((one) => one.name === old);
  if (present === undefined) {
    return { start: span.nameEnd, end: span.nameEnd, text: attributes({ [name]: value }) };
  }
  return { start: present.start, end: present.end, text: attributes({ [name]: value }).trimStart() };
}

/** Cuts an attribute, if it is there. */
export function withoutAttribute(document: XmlDocument, of: Element, name: string): Edit[] {
  const present = document.span(of).attributes.find((one) => one.name === name);
  if (present === undefined) return [];
  const start = present.start - leadingSpace(document.text, present.start).length;
  return [{ start, end: present.end, text: '' }];
}

/** Puts `text` in the place of an element. */
export function replacement(document: XmlDocument, one: Element, text: string): Edit {
  const { start, end } = document.span(one);
  return { start, end, text };
}

/** Cuts an element together with its indentation, so that no empty line is left; text before it stays whole. */
export function removal(document: XmlDocument, one: Element): Edit {
  const { start, end } = document.span(one);
  const indented = start - leadingSpace(document.text, start).length;
  return { start: document.text.charAt(indented - 1) === '>' ? indented : start, end, text: '' };
}

/** Puts `written` before an element, indented like it. */
export function insertionBefore(document: XmlDocument, one: Element, written: string): Edit {
  const { start } = document.span(one);
  return { start, end: start, text: written + leadingSpace(document.text, start) };
}

/**
 * The only child of this name, or undefined.
 *
 * @throws DomainXmlError `ambiguous` when there are several: an edit could hit the wrong one
 */
export function onlyChild(holder: Element, name: string): Element | undefined {
  const found = childElements(holder, name);
  if (found.length > 1) {
    const target = attribute(child(holder, 'target'), 'dev') ?? attribute(holder, 'name') ?? '';
    throw new DomainXmlError('ambiguous', `disk ${target} has more than one <${name}>`, { target, name });
  }
  return found[0];
}

/** The text with all edits made. They must not overlap. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = text;
  // From the back, so that earlier offsets stay valid; insertions at one place keep the order they came in.
  for (const edit of [...edits].sort((a, b) => b.start - a.start || b.end - a.end)) {
    result = result.slice(0, edit.start) + edit.text + result.slice(edit.end);
  }
  return result;
}

// White space as XML 1.0, section 2.3 has it; JavaScript's includes characters that are text here.
function leadingSpace(text: string, at: number): string {
  let start = at;
  while (/[ \t\r\n]/.test(text.charAt(start - 1))) start -= 1;
  return text.slice(start, at);
}
