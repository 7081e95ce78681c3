// An element as plain data, for readers that want more of a definition than the disks.
import type { Element } from '@xmldom/xmldom';
import { childElements } from './document.ts';

export interface XmlNode {
  /** With its prefix, as written. */
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** All text inside, that of the children included. */
  readonly text: string;
  readonly children: readonly XmlNode[];
}

export function treeOf(element: Element): XmlNode {
  return {
    name: element.tagName,
    attributes: Object.fromEntries([...element.attributes].map(({ name, value }) => [name, value])),
    text: element.textContent ?? '',
    children: childElements(element).map(treeOf),
  };
}
