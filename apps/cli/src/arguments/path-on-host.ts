// A path as it was typed, on the machine of the domains: relative ones are meant from where we stand.
import { resolve } from 'node:path';
import type { Host } from '@blockferry/qemu';
import { UsageError } from './usage-error.ts';

/** @returns it, absolute. @throws UsageError for a relative one on another machine */
export function pathOnHost(host: Pick<Host, 'isLocal'> | undefined, path: string): string {
  if (path.startsWith('/') || (host?.isLocal === true && path !== '')) return resolve(path);
  throw new UsageError(`${path}: on another machine it must be absolute`);
}
