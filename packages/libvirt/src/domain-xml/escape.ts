// Turning values into XML text. libvirt writes tabs and line breaks unescaped, so it could not read its own
// file back (virBufferEscapeString); we refuse them rather than let a path change silently.
import { DomainXmlError } from './errors.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const unrepresentable = /[\u0000-\u001f\ufffe\uffff]/;

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&apos;',
  '"': '&quot;',
};

/**
 * Escapes `value` for an attribute (either quote) or for text.
 *
 * @throws DomainXmlError `unrepresentable` for control characters (tab and line breaks included), lone
 *   surrogates and the two non-characters XML 1.0 excludes.
 */
export function escapeXml(value: string): string {
  if (unrepresentable.test(value) || !value.isWellFormed()) {
    throw new DomainXmlError(
      'unrepresentable',
      `libvirt XML cannot carry ${JSON.stringify(value)}: it holds a line break or another control character`,
      { value },
    );
  }
  return value.replace(/[&<>'"]/g, (character) => entities[character] ?? character);
}

/**
 * Writes attributes in the order given, each preceded by a space; those that are undefined are left out.
 *
 * @throws DomainXmlError `unrepresentable`, see {@link escapeXml}.
 */
export function attributes(values: Readonly<Record<string, string | undefined>>): string {
  let text = '';
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined) text += ` ${name}='${escapeXml(value)}'`;
  }
  return text;
}

/** Writes one element; without content it is empty (`<name/>`). `content` is XML and not escaped again. */
export function element(
  name: string,
  values: Readonly<Record<string, string | undefined>>,
  content = '',
): string {
  const start = `<${name}${attributes(values)}`;
  return content === '' ? `${start}/>` : `${start}>${content}</${name}>`;
}
