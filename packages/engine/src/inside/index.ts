// Looks into the file systems of images.
export type { Entry, EntryDetails, EntryType } from './entries.ts';
export { type InsideOptions, type InsideRequest, listInside, readInside } from './look-inside.ts';
export type { Subject } from './subject.ts';
