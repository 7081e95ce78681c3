// The chain of an image that a move knows, read anew: what its headers leave open, the record has from the definition.
import {
  type ChainImage,
  type Host,
  type Image,
  type Location,
  readChain,
  sameLocation,
} from '@blockferry/qemu';
import type { MoveRecord } from '../model/record.ts';
import { encryptedAs, toImage } from './to-image.ts';

type Known = Pick<MoveRecord, 'sources' | 'undeclared'>;

/** As readChain. The domain may be off by now, and its definition name the active image alone. */
export function readMoveChain(host: Host, move: Known, top: Image): Promise<[ChainImage, ...ChainImage[]]> {
  return readChain(host, top, { formatOf: (location) => formatIn(move, location) });
}

function formatIn({ sources, undeclared = [] }: Known, location: Location): string | undefined {
  const ref = [...undeclared, ...sources].find((each) => sameLocation(toImage(each).location, location));
  return ref && encryptedAs(ref.source, ref.format);
}
