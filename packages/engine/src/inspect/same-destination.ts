// Does a request mean the destination of a move that is open already? Then the same command continues it.
import { dirname, resolve } from 'node:path';
import { parseDiskXml, sameSource } from '@blockferry/libvirt';
import type { MoveRecord } from '../model/record.ts';
import { parseDestination } from '../preflight/destination-name.ts';
import type { MoveRequest } from '../preflight/request.ts';
import type { Context } from '../run/context.ts';
import { toSource } from '../storage/to-image.ts';

/**
 * A directory or a pool means whatever file the move has in it.
 *
 * @throws Refusal `bad-destination`; DomainXmlError for a destination XML that is none
 */
export function meansDestinationOf(
  { host }: Context,
  { destination, destinationXml }: Pick<MoveRequest, 'destination' | 'destinationXml'>,
  move: MoveRecord,
): boolean {
  const { source } = move.destination;
  if (destinationXml !== undefined) {
    const given = parseDiskXml(destinationXml).source;
    return given !== undefined && sameSource(given, source);
  }
  if (destination === undefined) return false;
  const name = parseDestination(destination, host?.isLocal ? process.cwd() : undefined);
  switch (name.kind) {
    case 'path': {
      if (source.kind !== 'file' && source.kind !== 'block') return false;
      const path = resolve(source.path);
      return path === name.path || dirname(path) === name.path;
    }
    case 'pool': {
      const { ownership } = move;
      if (ownership.kind !== 'volume') return false;
      return ownership.pool === name.pool && (name.volume ?? ownership.volume) === ownership.volume;
    }
    case 'location':
      return sameSource(toSource(name.location), source);
  }
}
