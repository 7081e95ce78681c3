// The names of the files that a layered move makes: each must be one of its own, and no longer than file systems take.
import { basename, dirname } from 'node:path';
import { copyJournalPath } from '../layers/index.ts';
import { Refusal } from '../model/errors.ts';
import { LONGEST_NAME, nameLength } from '../model/file-names.ts';
import type { ImageRef, LayeredPart } from '../model/record.ts';
import { pathOf } from '../observe/file-key.ts';

/** Rounds have names with a number. */
const OF_A_ROUND = '-99';

/** @throws Refusal `bad-destination` */
export function mustHaveShortNames({
  layers,
  overlay,
  carrier,
}: Pick<LayeredPart, 'layers' | 'overlay' | 'carrier'>): void {
  const copies = layers.flatMap(({ to }) => pathOf(to.source) ?? []).map(copyJournalPath);
  const rounds = [ofRound(overlay), copyJournalPath(ofRound(carrier))];
  const long = [...copies, ...rounds].find((path) => nameLength(path) > LONGEST_NAME);
  if (long === undefined) return;
  throw new Refusal(
    'bad-destination',
    `a name is too long for the files that strategy layered makes beside it: ${basename(long)} would have ${nameLength(long)} bytes, and may have ${LONGEST_NAME}`,
    { path: long },
    'give the destination a shorter name; a long name of a source can be changed while the domain is off',
  );
}

function ofRound({ source }: ImageRef): string {
  return `${pathOf(source) ?? ''}${OF_A_ROUND}`;
}

/** @throws Refusal `names-clash` */
export function mustBeDistinct(layers: LayeredPart['layers']): void {
  const paths = layers.map(({ to }) => (to.source.kind === 'file' ? to.source.path : ''));
  const twice = paths.find((path, at) => paths.indexOf(path) !== at);
  if (twice === undefined) return;
  throw new Refusal(
    'names-clash',
    `two images of the chain are called ${basename(twice)}, and cannot both go to ${dirname(twice)}`,
    {},
    'use --flatten, or rename one of them',
  );
}
