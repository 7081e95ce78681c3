// What a directory inside an image holds, for people. Names cannot move the terminal's cursor.
import type { Entry, EntryDetails, EntryType } from '@blockferry/engine';
import { table } from './table.ts';
import { printable } from './trees.ts';

/** One name a line. */
export function entriesText(entries: readonly Entry[]): string {
  return entries.map(({ name }) => `${printable(name)}\n`).join('');
}

export function longText(entries: readonly Entry[]): string {
  const rows = entries.map(({ name, details, target }) => [
    details === undefined ? '?' : modeWords(details),
    details === undefined ? '?' : `${details.uid}:${details.gid}`,
    details === undefined ? '?' : String(details.size),
    details === undefined ? '?' : timeWords(details.modifiedMs),
    `${printable(name)}${target === undefined ? '' : ` -> ${printable(target)}`}`,
  ]);
  return table([['MODE', 'OWNER', 'SIZE', 'MODIFIED', 'NAME'], ...rows]);
}

const LETTERS: Readonly<Record<EntryType, string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  block: 'b',
  character: 'c',
  fifo: 'p',
  socket: 's',
  unknown: '?',
};

/** As `ls -l` writes it: `-rwxr-xr-x`, with s, S, t and T for the bits above. */
function modeWords({ type, mode }: EntryDetails): string {
  const bits = [...'rwxrwxrwx'].map((letter, index) => (mode & (0o400 >> index) ? letter : '-'));
  const special = (bit: number, at: number, letter: string) => {
    if (mode & bit) bits[at] = bits[at] === 'x' ? letter : letter.toUpperCase();
  };
  special(0o4000, 2, 's');
  special(0o2000, 5, 's');
  special(0o1000, 8, 't');
  return `${LETTERS[type]}${bits.join('')}`;
}

/** In UTC, to the second. */
function timeWords(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? '?' : time.toISOString().replace('T', ' ').slice(0, 19);
}
