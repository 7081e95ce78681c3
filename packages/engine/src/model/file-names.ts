// The names of files.
import { basename } from 'node:path';

/** What file systems take as one name (NAME_MAX), in bytes. */
export const LONGEST_NAME = 255;

/** How long the last part of a path is. Pure. */
export function nameLength(path: string): number {
  return Buffer.byteLength(basename(path));
}
