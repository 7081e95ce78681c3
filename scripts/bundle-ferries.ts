// vitest's set-up of the real tests: for the time of the run, one bundle of the programs that testbed/src/crash/ferry.ts
// starts by the hundred.
// A process of the sources takes 0.4 s of a processor before it does anything (0.9 s the first time), one of the bundle 0.08 s.
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const crash = '../testbed/src/crash';
const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Names the bundle's directory to the workers, in BLOCKFERRY_FERRIES. @returns what removes it */
export async function setup(): Promise<() => Promise<void>> {
  const cache = at('../.cache/ferries');
  await mkdir(cache, { recursive: true });
  await removeThoseOfTheDead(cache);
  const directory = join(cache, String(process.pid));
  await mkdir(directory);
  // The command line reads its version from the package.json above it.
  await copyFile(at('../apps/cli/package.json'), join(directory, 'package.json'));
  const bundle = await rolldown({
    input: [at(`${crash}/ferry-process.ts`), at(`${crash}/copies-process.ts`)],
    platform: 'node',
    resolve: { conditionNames: ['blockferry-source', 'node', 'import', 'default'] },
    // The command line is a program by itself where its file is the one that was started: here it is another's.
    transform: { define: { 'import.meta.filename': '""' } },
  });
  await bundle.write({ dir: join(directory, 'dist'), format: 'esm' });
  await bundle.close();
  process.env.BLOCKFERRY_FERRIES = directory;
  return () => rm(directory, { recursive: true, force: true });
}

/** A run that is killed removes nothing. */
async function removeThoseOfTheDead(cache: string): Promise<void> {
  for (const pid of await readdir(cache)) {
    if (pid === String(process.pid) || !existsSync(`/proc/${pid}`))
      await rm(join(cache, pid), { recursive: true, force: true });
  }
}
