// Two moves that begin at one moment, of two domains that share a base, must not both make its copy: neither saw it there when
// it was planned, and each would take the other's empty file for one that nobody claims.
import type { Connection, DomainXml } from '@blockferry/libvirt';
import { Refusal } from '../model/errors.ts';
import type { MoveRecord } from '../model/record.ts';
import { filesMadeBy } from '../model/rounds.ts';
import { bothDefinitions } from '../observe/usage.ts';
import { readMetadata } from '../record/metadata.ts';
import { RecordUnreadable } from '../record/serialise.ts';

/** The name of the lock under which moves that make copies look at one another's records, and write their own. */
export const COPIES_LOCK = 'copies';

/** The paths of what a move in layers makes; none for others, whose destination QEMU's locks keep apart. */
export function copiesMadeBy({ layered }: Pick<MoveRecord, 'layered'>): readonly string[] {
  const images = layered === undefined ? [] : filesMadeBy(layered);
  return images.flatMap(({ source }) => (source.kind === 'file' ? [source.path] : []));
}

/** @throws Refusal `destination-exists` when a move that is open makes one of these too, with nothing touched */
export async function mustMakeAlone(connection: Connection, moves: readonly MoveRecord[]): Promise<void> {
  const wanted = moves.flatMap(copiesMadeBy);
  for (const domain of await connection.listAllDomains()) {
    for (const { xml } of await bothDefinitions(connection, domain)) {
      for (const other of recordsIn(xml)) {
        if (moves.some(({ id }) => id === other.id)) continue;
        const path = copiesMadeBy(other).find((each) => wanted.includes(each));
        if (path === undefined) continue;
        throw new Refusal(
          'destination-exists',
          `${path} is being made by the move of ${other.disk} of ${other.domain.name}`,
          { path },
          'try again when it is copied: a base that both stand on is linked to then (blockferry status shows how far it is)',
        );
      }
    }
  }
}

function recordsIn(xml: DomainXml): readonly MoveRecord[] {
  return xml.disks().flatMap(({ target }) => {
    try {
      const stored = readMetadata(xml, target);
      return stored === undefined ? [] : [stored.record];
    } catch (error) {
      // Of a version that is not ours.
      if (error instanceof RecordUnreadable) return [];
      throw error;
    }
  });
}
