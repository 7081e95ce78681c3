// Trees of images for people: every image once, those that stand on it below.
import { type TreeImage, type TreesReport, type TreeUser, unreachable } from '@blockferry/engine';
import { formatBytes } from '../format.ts';
import { table } from './table.ts';

const HEADING = ['IMAGE', 'FORMAT', 'SIZE', 'ALLOCATED', 'USED BY', 'NOTES'];

export function treesText({ trees, unknown, unread, searched }: TreesReport): string {
  const rows = trees.flatMap((tree) => rowsOf(tree, '', ''));
  const notes = [
    ...unknown.map(({ domain, disk, why }) => {
      const what = disk === undefined ? domain : `${disk} of ${domain}`;
      return `  what ${what} uses is not known: ${why}`;
    }),
    ...unread.map(({ directory, why }) => `  ${directory} was not looked through: ${why}`),
    ...(searched.length === 0 ? [] : [`  images of no domain were looked for in ${searched.join(', ')}`]),
  ];
  const images = rows.length === 0 ? 'there are no images\n' : table([HEADING, ...rows]);
  return `${images}${notes.map((line) => `${line}\n`).join('')}`;
}

function rowsOf(image: TreeImage, lead: string, below: string): string[][] {
  const { format, virtualSize, allocated, users, children } = image;
  const row = [
    `${lead}${printable(image.path)}`,
    format,
    virtualSize === undefined ? '?' : formatBytes(virtualSize),
    allocated === undefined ? '?' : formatBytes(allocated),
    users.map(userWords).join(', '),
    imageNotes(image).map(printable).join('; '),
  ];
  const rows = children.flatMap((child, index) => {
    const last = index === children.length - 1;
    return rowsOf(child, `${below}${last ? '└─ ' : '├─ '}`, `${below}${last ? '   ' : '│  '}`);
  });
  return [row, ...rows];
}

/** `web vda`, and how it differs from a running guest on its active image. */
export function userWords({ domain, disk, running, definitions, role, job }: TreeUser): string {
  const name = `${domain} ${disk}`;
  if (role === 'mirror') return `${name} (destination of a ${job ?? 'block'} job)`;
  if (!running) return `${name} (off)`;
  return definitions.includes('live') ? name : `${name} (next boot)`;
}

/** All that is to be said of an image besides its figures. */
export function imageNotes({ standing, backing, problem, alsoNamed, alsoDeclared }: TreeImage): string[] {
  const link = backing && linkWords(backing);
  return [
    ...standingWords(standing),
    ...(link === undefined ? [] : [link]),
    ...(problem === undefined ? [] : [`cannot be read: ${problem}`]),
    ...(alsoNamed.length === 0 ? [] : [`also named ${alsoNamed.join(', ')}`]),
    ...(alsoDeclared.length === 0 ? [] : [`also declared as ${alsoDeclared.join(', ')}`]),
  ];
}

function standingWords(standing: TreeImage['standing']): string[] {
  switch (standing.kind) {
    case 'used':
      return [];
    case 'referred':
      return [`named by ${standing.by}`];
    case 'orphan':
      return ['orphan'];
    case 'perhaps-orphan':
      return ['orphan?'];
    default:
      return unreachable(standing);
  }
}

function linkWords({ reference, relative, base, broken }: NonNullable<TreeImage['backing']>) {
  const to = relative || base === undefined ? reference : base;
  if (broken !== undefined) return `broken link to ${to}: ${broken}`;
  return relative ? `relative link ${reference}` : undefined;
}

/** A name may hold line breaks and what moves a terminal's cursor. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(2, '0');
    return `\\x${code}`;
  });
}
