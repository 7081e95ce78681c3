// Is there room in the image that takes the data of those that leave the chain?
import { dirname } from 'node:path';
import type { Bytes } from '../model/units.ts';
import { hasRoom, tooSmall } from '../space/room.ts';
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
  // A link may lead to another file system.
  const directory = dirname(await answered(path, host.realpath(path, { timeoutMs: ANSWER_WITHIN_MS })));
  const space = await answered(directory, host.statfs(directory, { timeoutMs: ANSWER_WITHIN_MS }));
  if (need <= 0n || hasRoom(need, space)) return bytes;
  const less = how.kind === 'commit' ? '' : ', or flatten less of it: --base IMAGE';
  throw tooSmall(`${path} may grow by`, need, directory, space, `make room there${less}`);
}
