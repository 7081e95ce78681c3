// Lets the error of a call tell where the call was made, not where its reply was read.

import { CallTimeout } from '../errors/connection.ts';
import { LibvirtError } from '../errors/libvirt-error.ts';

export interface CallSite {
  readonly stack?: string;
}

/** Remembers the callers of `below`. Cheap: V8 formats the stack only when somebody reads it. */
export function callSite(below: (...args: never[]) => unknown): CallSite {
  const site: CallSite = {};
  Error.captureStackTrace(site, below);
  return site;
}

/** Puts the call's place into an error that belongs to this call alone; others are shared and stay as they are. */
export function withCallSite(error: unknown, site: CallSite): unknown {
  if (error instanceof LibvirtError || error instanceof CallTimeout) {
    const frames = site.stack?.slice(site.stack.indexOf('\n')) ?? '';
    error.stack = `${error.name}: ${error.message}${frames}`;
  }
  return error;
}
