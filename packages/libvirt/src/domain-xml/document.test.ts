// What counts as XML here, and what is refused although the DOM parser would let it pass.
import { describe, expect, it } from 'vitest';
import { attribute, child, parseXml, textOf } from './document.ts';
import { DomainXmlError } from './errors.ts';

const codeOf = (xml: string): string => {
  try {
    parseXml(xml);
  } catch (error) {
    if (error instanceof DomainXmlError) return error.code;
    throw error;
  }
  return 'accepted';
};

describe('parseXml refuses', () => {
  it.each([
    ['a DOCTYPE', '<!DOCTYPE domain><domain/>', 'doctype'],
    [
      'a DOCTYPE with entities',
      '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><d>&x;</d>',
      'doctype',
    ],
    ['a DOCTYPE behind a comment', '<!-- c --><?pi?><!doctype d><d/>', 'doctype'],
    ['nothing', '', 'malformed'],
    ['plain text', 'domain', 'malformed'],
    ['an unclosed element', '<a><b></a>', 'malformed'],
    ['crossed tags', '<a><b></a></b>', 'malformed'],
    ['a second root', '<a/><b/>', 'malformed'],
    ['text behind the root', '<a/>b', 'malformed'],
    ['an unknown entity', '<a>&foo;</a>', 'malformed'],
    ['an unknown entity in an attribute', '<a b="&foo;"/>', 'malformed'],
    ['a bare ampersand', '<a>x & y</a>', 'malformed'],
    ['a bare ampersand in an attribute', '<a b="x&y"/>', 'malformed'],
    ['an unquoted attribute', '<a b=c/>', 'malformed'],
    ['an attribute without a value', '<a b/>', 'malformed'],
    ['an attribute twice', '<a b="1" b="2"/>', 'malformed'],
    ['attributes without a space', '<a b="1"c="2"/>', 'malformed'],
    ['< in an attribute', '<a b="<"/>', 'malformed'],
    ['a control character', '<a>\u0001</a>', 'malformed'],
    ['a reference to a control character', '<a>&#1;</a>', 'malformed'],
    ['a reference to a surrogate', '<a>&#xd800;</a>', 'malformed'],
    ['a reference beyond Unicode', '<a>&#x110000;</a>', 'malformed'],
    ['a lone surrogate', '<a>\ud800</a>', 'malformed'],
    ['an undeclared prefix', '<p:a/>', 'malformed'],
    ['an unclosed comment', '<a><!-- </a>', 'malformed'],
    ['an unclosed CDATA section', '<a><![CDATA[ </a>', 'malformed'],
    ['an encoding other than UTF-8', '<?xml version="1.0" encoding="ISO-8859-1"?><a/>', 'malformed'],
  ])('%s', (_what, xml, code) => {
    expect(codeOf(xml)).toBe(code);
  });
});

describe('parseXml accepts', () => {
  it('a declaration, a byte order mark, comments, processing instructions and CDATA', () => {
    const xml =
      '\ufeff<?xml version="1.0" encoding="utf-8"?>\n<!-- <a> --><a><?p <b>?><![CDATA[<c>&]]>&#65;</a>';
    const document = parseXml(xml);
    expect(textOf(document.root)).toBe('<c>&A');
    expect(document.source(document.root)).toBe('<a><?p <b>?><![CDATA[<c>&]]>&#65;</a>');
  });

  it('a > inside an attribute and white space around everything', () => {
    const document = parseXml(`<a  b = 'x>y'\n c="'/>"\t><d\n/></a >`);
    expect(attribute(document.root, 'b')).toBe('x>y');
    const inner = child(document.root, 'd');
    expect(inner && document.source(inner)).toBe('<d\n/>');
  });

  it('U+2028, U+0085 and U+FFFD as themselves, as libvirt does, and not as line breaks', () => {
    expect(attribute(parseXml('<a b="x\u2028y\u0085z\ufffd"/>').root, 'b')).toBe('x\u2028y\u0085z\ufffd');
  });
});
