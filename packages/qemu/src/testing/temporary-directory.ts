// A directory for one test, gone after it.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Makes it; dispose with `await using`, or by calling remove(). */
export async function temporaryDirectory(): Promise<
  AsyncDisposable & { path: string; remove(): Promise<void> }
> {
  const path = await mkdtemp(join(tmpdir(), 'bf-test-'));
  const remove = () => rm(path, { recursive: true, force: true });
  return { path, remove, [Symbol.asyncDispose]: remove };
}
