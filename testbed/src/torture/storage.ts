// Where a round of torture copies to: storage that can be full or broken for a while.
import { basename, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Berth } from '../crash/berth.ts';
import type { Ferry } from '../crash/ferry.ts';
import { failingFileSystem, smallFileSystem } from '../faults/file-system.ts';
import type { Victim } from './draw.ts';

/** Long enough for everything that writes there to find it so. */
const SPOILT_MS = 1_500;
const mebibyte = 1024n * 1024n;
/**
 * What goes on when the guest does not see its errors. Otherwise it lives there; or QEMU, which copies before it lets the guest
 * write over what an increment lacks, hands errors of the destination to the guest.
 */
const UNSEEN: readonly string[] = ['copy-layers', 'flush', 'seal', 'tidy'];

/** It stays until the host stops, for the guest may live there from now on. */
export interface Storage {
  readonly directory: string;
  spoil(ferry: Ferry): Promise<void>;
  mend(): Promise<void>;
}

/** @param ends gets what must be stopped after the host */
export async function storageFor(
  berth: Berth,
  victims: readonly Victim[],
  ends: AsyncDisposableStack,
): Promise<Storage> {
  const directory = await berth.newDirectory();
  const place = relative(berth.host.imagesDir, directory);
  const options = { bytes: 160n * mebibyte, name: join(place, `${berth.name}-${basename(place)}`) };
  if (victims.includes('destination-full')) {
    const storage = await smallFileSystem(berth.host, options);
    return {
      directory: storage.directory,
      spoil: () => storage.fillUp(),
      mend: async () => {
        await sleep(SPOILT_MS);
        await storage.makeRoom();
      },
    };
  }
  if (victims.includes('destination-eio')) {
    const storage = ends.use(await failingFileSystem(berth.host, options));
    return {
      directory: storage.directory,
      spoil: async (ferry) => {
        const step = ferry.lines.findLast((line) => line.type === 'step')?.step;
        if (step !== undefined && UNSEEN.includes(step)) await storage.fail();
      },
      mend: async () => {
        await sleep(SPOILT_MS);
        await storage.heal();
      },
    };
  }
  return { directory, spoil: async () => {}, mend: async () => {} };
}
