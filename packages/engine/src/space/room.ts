// Is there room for what is to be written? What is said where there is not. Pure.
import { Refusal } from '../model/errors.ts';
import { formatBytes } from '../model/sizes.ts';
import type { Bytes } from '../model/units.ts';
import { floorOf } from './floor.ts';

/** A file system, as far as it tells: some do not tell their size (ramfs), which is 0n then. */
export interface Space {
  readonly available: Bytes;
  readonly total: Bytes;
}

/** Beside `need` there is room for what is kept free, or nobody knows. */
export function hasRoom(need: Bytes, { available, total }: Space): boolean {
  return total === 0n || need + floorOf(total) <= available;
}

/** @param what with its verb, such as `the copies need` */
export function tooSmall(what: string, need: Bytes, directory: string, space: Space, hint: string): Refusal {
  const free = `${directory} has ${formatBytes(space.available)} free`;
  const kept = `of which ${formatBytes(floorOf(space.total))} are kept free for whoever else writes there`;
  const message = `${what} ${formatBytes(need)}, and ${free}, ${kept}`;
  return new Refusal('destination-too-small', message, { need, have: space.available }, hint);
}
