// Is there room in the image that takes the data of those that leave the chain?
import { dirname } from 'node:path';
import { Refusal } from '../model/errors.ts';
import type { Bytes } from '../model/units.ts';
import { floorOf } from '../space/floor.ts';
import { ANSWER_WITHIN_MS, answered } from './look.ts';
import type { Span } from './shorten-checks.ts';
import type { ShortenRequest } from './shorten-request.ts';
import type { Situation } from './situation.ts';

/**
 * It grows by no more than they hold, and not beyond the disk's size.
 *
 * @returns the bytes that they hold
 * @throws Refusal `destination-too-small`
 */
export async function checkShortenRoom(
  { chain = [], host, capacity }: Situation,
  { how }: ShortenRequest,
  { first, end, into }: Span,
): Promise<Bytes> {
  const bytes = chain.slice(first, end).reduce((sum, { allocated }) => sum + (allocated ?? capacity), 0n);
  const taker = chain[into];
  if (host === undefined || taker?.image.location.kind !== 'file') return bytes;
  const { path } = taker.image.location;
  const free = capacity - (taker.allocated ?? 0n);
  const need = bytes < free || taker.image.format !== 'raw' ? bytes : free;
  const directory = dirname(path);
  const space = await answered(directory, host.statfs(directory, { timeoutMs: ANSWER_WITHIN_MS }));
  if (space.total === 0n || need <= 0n || need + floorOf(space.total) <= space.available) return bytes;
  throw new Refusal(
    'destination-too-small',
    `${path} may grow by ${need} bytes, and ${directory} has ${space.available} free, of which ${floorOf(space.total)} are kept free for whoever else writes there`,
    { need, have: space.available },
    how.kind === 'commit' ? 'make room there' : 'make room there, or flatten less of it: --base IMAGE',
  );
}
