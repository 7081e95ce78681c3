// The names of the files that a migration makes beside a disk's images: each must be no longer than file systems take.
import { basename } from 'node:path';
import { copyJournalPath } from '../../layers/index.ts';
import { Refusal } from '../../model/errors.ts';
import { LONGEST_NAME, nameLength } from '../../model/file-names.ts';
import { journalPathFor } from '../../record/journal.ts';
import { copyOfCommit } from '../commit-back.ts';
import { type MigratedDisk, pathOf } from '../record.ts';

/** Pure. The longest are the journals of the commits, without which a guest stays on its overlay. @throws Refusal `bad-destination` */
export function mustHaveShortNames({ layers, overlay }: Pick<MigratedDisk, 'layers' | 'overlay'>): void {
  const commits = [overlay.home, overlay.away].map((each) => journalPathFor(copyOfCommit(each)));
  const paths = [...layers.map(({ to }) => copyJournalPath(pathOf(to))), ...commits];
  const [long] = paths.filter((path) => nameLength(path) > LONGEST_NAME);
  if (long === undefined) return;
  throw new Refusal(
    'bad-destination',
    `the name of an image is too long for the files that a migration makes beside it: ${basename(long)} would have ${nameLength(long)} bytes, and may have ${LONGEST_NAME}`,
    { path: long },
    'give the image a shorter name while the domain is off; or, while it runs: blockferry move',
  );
}
