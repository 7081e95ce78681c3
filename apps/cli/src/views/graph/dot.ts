// Trees of images as a Graphviz digraph: an arrow leads from each image to the one it stands on.
import { eachImage, type TreeImage, type TreeUser } from '@blockferry/engine';
import { formatBytes } from '../format.ts';
import { imageNotes, userWords } from '../human/trees.ts';

const HEAD = `digraph blockferry {
  rankdir=BT;
  node [shape=box, fontname="monospace", fontsize=10];
  edge [fontname="monospace", fontsize=9];`;

/** The same trees give the same text. Names are kept whole, whatever is in them. */
export function dotText(trees: readonly TreeImage[]): string {
  const ids = new Map<TreeImage, string>();
  for (const { image } of eachImage(trees)) ids.set(image, `image${ids.size}`);
  const lines = [HEAD];
  for (const { image, base } of eachImage(trees)) {
    const id = ids.get(image) ?? '';
    lines.push(`  ${id} [label=${quote(labelOf(image))}${styleOf(image)}];`);
    lines.push(...linkLines(image, id, base && ids.get(base)));
    image.users.forEach((user, index) => {
      lines.push(...userLines(user, id, `${id}_user${index}`));
    });
  }
  return `${lines.join('\n')}\n}\n`;
}

function labelOf(image: TreeImage): string {
  const { path, format, virtualSize, allocated } = image;
  const sizes = virtualSize === undefined ? '' : ` ${formatBytes(virtualSize)}`;
  const held = allocated === undefined ? '' : `, ${formatBytes(allocated)} allocated`;
  return [path, `${format}${sizes}${held}`, ...imageNotes(image)].join('\n');
}

function styleOf({ standing, problem }: TreeImage): string {
  if (problem !== undefined) return ', color=red';
  switch (standing.kind) {
    case 'used':
      return '';
    case 'referred':
      return ', style=dashed';
    case 'orphan':
    case 'perhaps-orphan':
      return ', style=dashed, color=red, fontcolor=red';
  }
}

/** A base that is not among the images is drawn as a name alone. */
function linkLines({ backing }: TreeImage, id: string, base: string | undefined): string[] {
  if (backing === undefined) return [];
  const styles = [
    ...(backing.relative ? ['label="relative"'] : []),
    ...(backing.broken === undefined ? [] : ['color=red', 'style=dashed']),
  ];
  const style = styles.length === 0 ? '' : ` [${styles.join(', ')}]`;
  if (base !== undefined) return [`  ${id} -> ${base}${style};`];
  const name = `${id}_base`;
  const words = backing.base ?? backing.reference;
  return [`  ${name} [label=${quote(words)}, shape=plaintext];`, `  ${id} -> ${name}${style};`];
}

function userLines(user: TreeUser, image: string, id: string): string[] {
  const fill = user.running ? 'lightblue' : 'lightgrey';
  return [
    `  ${id} [label=${quote(userWords(user))}, shape=ellipse, style=filled, fillcolor=${fill}];`,
    `  ${id} -> ${image}${user.role === 'mirror' ? ' [style=dotted]' : ''};`,
  ];
}

/**
 * A quoted string of the DOT language in which nothing means anything: quotes and backslashes escaped, for labels know
 * `\N` and the like; entities (`&amp;`) too, which labels read as HTML does.
 */
function quote(text: string): string {
  const plain = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('&', '&amp;');
  return `"${plain.replaceAll('\n', '\\n')}"`;
}
