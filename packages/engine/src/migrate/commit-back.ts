// An overlay is committed into the image below it, and the guest goes on there. That is what strategy `layered` does when
// it takes a disk back, with all its care for crashes; at either end of a migration it is the same thing.
import { diskElement } from '@blockferry/libvirt';
import type { ImageRef, MoveRecord } from '../model/record.ts';
import type { Definitions } from '../observe/definitions.ts';
import { journalPathFor } from '../record/journal.ts';
import { readMetadata } from '../record/metadata.ts';
import type { OneSide } from './pair.ts';
import { chainAt, type MigratedDisk, type MigrationRecord, pathOf } from './record.ts';

export type End = 'home' | 'away';

/** The images at one end: the overlay, and what it is committed into. */
export function endsOf(
  disk: MigratedDisk,
  end: End,
): { readonly overlay: ImageRef; readonly below: ImageRef } {
  return { overlay: disk.overlay[end], below: end === 'home' ? disk.origin : disk.layers[0].to };
}

/** The name of the copy that is never made: the commit's journal is called by it. */
export function copyOfCommit(overlay: ImageRef): string {
  return `${pathOf(overlay)}.copy`;
}

/**
 * A move that was frozen, and goes back. Its copy and its carrier were never made; their names, which have the migration's
 * id in them, are nobody else's.
 */
export function commitBack(record: MigrationRecord, disk: MigratedDisk, end: End): MoveRecord {
  const { overlay, below } = endsOf(disk, end);
  const none = (path: string): ImageRef => ({ source: { kind: 'file', path }, format: 'qcow2' });
  const [copy, carrier] = [none(copyOfCommit(overlay)), none(`${pathOf(overlay)}.carrier`)];
  return {
    version: 1,
    id: `${record.id}-${disk.target}`,
    domain: record.domain,
    disk: disk.target,
    strategy: 'layered',
    layered: { layers: [{ from: below, to: copy, how: 'bytes' }], overlay, carrier, verify: false },
    scope: 'chain',
    origin: below,
    destination: copy,
    ownership: { kind: 'created' },
    sources: chainAt(disk, end),
    jobMode: 'transient-job',
    options: { synchronousWrites: false, converge: false, deleteSource: false },
    destinationXml: diskElement(carrier.source, carrier.format),
    phase: 'undoing',
    goal: 'abort',
    reason: 'part of a migration',
  };
}

/** Has one been begun that has not ended? Its record is removed before its journal. */
export async function isCommitOpen(
  { host }: OneSide,
  definitions: Definitions | undefined,
  record: MigrationRecord,
  end: End,
): Promise<boolean> {
  for (const disk of record.disks) {
    const move = commitBack(record, disk, end);
    for (const xml of [definitions?.live, definitions?.config]) {
      if (xml !== undefined && readMetadata(xml, disk.target)?.record.id === move.id) return true;
    }
    if ((await host.stat(journalPathFor(pathOf(move.destination)))) !== null) return true;
  }
  return false;
}
