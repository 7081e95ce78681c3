// One pair of hosts for the tests of a file. A test that fails leaves it in any state: the next one gets another.
import { afterAll, afterEach, beforeEach } from 'vitest';
import { type FerryPair, type FerryPairOptions, startFerryPair } from './ferry-pair.ts';

/** @param use is given the pair before each test */
export function sharedPair(options: FerryPairOptions, use: (pair: FerryPair) => void): void {
  let pair: FerryPair | undefined;
  const stop = async () => {
    await pair?.stop();
    pair = undefined;
  };
  beforeEach(async () => {
    pair ??= await startFerryPair(options);
    use(pair);
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') await stop();
  });
  afterAll(stop);
}
