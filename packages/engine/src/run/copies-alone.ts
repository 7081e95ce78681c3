// Two moves that begin at one moment must not both write to one place, though neither saw the other when it was planned: of two
// domains that share a base each would take the other's empty file for one that nobody claims, and QEMU's locks keep two from
// one device only while both have it open, which a copy in layers has not all the time.
import { type Connection, type DomainXml, describeSource } from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { MoveRecord } from '../model/record.ts';
import { filesMadeBy } from '../model/rounds.ts';
import { bothDefinitions } from '../observe/usage.ts';
import { numbersOf } from '../preflight/system-use.ts';
import { readMetadata } from '../record/metadata.ts';
import { RecordUnreadable } from '../record/serialise.ts';

/** The name of the lock under which moves that make copies look at one another's records, and write their own. */
export const COPIES_LOCK = 'copies';

type Making = Pick<MoveRecord, 'layered' | 'destination'>;

/** The paths of what a move in layers makes, and the device or export that a move of any strategy writes to. */
export function copiesMadeBy({ layered, destination: { source } }: Making): readonly string[] {
  const images = layered === undefined ? [] : filesMadeBy(layered);
  const files = images.flatMap((image) => (image.source.kind === 'file' ? [image.source.path] : []));
  const isThere = source.kind === 'block' || (source.kind === 'network' && source.protocol === 'nbd');
  return isThere ? [...files, describeSource(source)] : files;
}

/** @throws Refusal `destination-exists` when a move that is open makes one of these too, with nothing touched */
export async function mustMakeAlone(
  connection: Connection,
  host: Host | undefined,
  moves: readonly MoveRecord[],
): Promise<void> {
  const wanted: string[] = [];
  for (const move of moves) wanted.push(...copiesMadeBy(move), ...(await devicesOf(host, move)));
  for (const domain of await connection.listAllDomains()) {
    for (const { xml } of await bothDefinitions(connection, domain)) {
      for (const other of recordsIn(xml)) {
        if (moves.some(({ id }) => id === other.id)) continue;
        const [device] = await devicesOf(host, other);
        const places = [...copiesMadeBy(other), ...(device === undefined ? [] : [device])];
        const place = places.find((each) => wanted.includes(each));
        if (place !== undefined) throw taken(place, other);
      }
    }
  }
}

/** The numbers of the device that a move writes to, its own first: its parts, and what it is a part of, hold the same data. */
async function devicesOf(host: Host | undefined, { destination }: Making): Promise<readonly string[]> {
  const { source } = destination;
  return source.kind === 'block' && host !== undefined ? await numbersOf(host, source.path) : [];
}

function taken(place: string, { disk, domain, destination: { source } }: MoveRecord): Refusal {
  const by = `the move of ${disk} of ${domain.name}`;
  if (source.kind !== 'file' && (!place.startsWith('/') || place === describeSource(source))) {
    const hint = 'choose another destination';
    return new Refusal('destination-in-use', `${describeSource(source)} is written to by ${by}`, {}, hint);
  }
  return new Refusal(
    'destination-exists',
    `${place} is being made by ${by}`,
    { path: place },
    'try again when it is copied: a base that both stand on is linked to then (blockferry status shows how far it is)',
  );
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
