// A guarded copy of layers that runs beside a loop, from its start to its end.
import { CopierDied, type LayerCopy } from '../layers/index.ts';
import { messageOf } from '../model/errors.ts';
import type { Bytes, BytesPerSecond } from '../model/units.ts';
import type { BackgroundCopy } from '../observe/memory.ts';
import { isHostLost } from '../run/link.ts';
import { type Felt, guarded } from './guarded.ts';

export type { Felt } from './guarded.ts';

/** What ends so soon is not begun again and again. */
const FLEETING_MS = 500;

/**
 * @param onDone is told how fast it was, once it has ended well
 * @param onEnd is called when nothing of it runs any more, however it has ended
 */
export function inBackground(
  copy: LayerCopy,
  felt: Felt,
  onDone: (rate: BytesPerSecond) => void = () => {},
  onEnd: () => Promise<void> = async () => {},
): BackgroundCopy {
  const ending = new AbortController();
  let state: ReturnType<BackgroundCopy['state']> = 'running';
  const guard = guarded(felt, copy, ending.signal);
  const began = performance.now();
  const run = async () => {
    try {
      await guard.run();
    } finally {
      await onEnd();
    }
  };
  const work = run().then(
    () => {
      state = 'done';
      onDone(rateOf(copy.progress().copiedNow, performance.now() - began));
    },
    (error: unknown) => {
      const wayLost = isWayLost(error) && performance.now() - began > FLEETING_MS;
      state = { failed: messageOf(error), wayLost };
    },
  );
  return {
    state: () => state,
    over: work,
    progress: () => {
      const { copiedBefore, copiedNow, readFirst, verified, readBack, total, state: doing } = copy.progress();
      return {
        copied: copiedBefore + copiedNow,
        copiedBefore,
        verified,
        readBack,
        moved: copiedBefore + copiedNow + readFirst + (readBack ?? 0n),
        total,
        space: doing === 'waiting-for-space' ? 'full' : doing === 'short-of-space' ? 'low' : 'enough',
        guard: guard.verdict(),
      };
    },
    guard: () => guard.summary(),
    setBandwidth: (limit) => guard.setBandwidth(limit),
    hurry: (on) => guard.hurry(on),
    stop: async () => {
      ending.abort(new Error('stopped'));
      await work;
    },
  };
}

function isWayLost(error: unknown): boolean {
  return isHostLost(error) || (error instanceof CopierDied && error.isHostLost);
}

function rateOf(copied: Bytes, ms: number): BytesPerSecond {
  return (copied * 1000n) / BigInt(Math.max(1, Math.round(ms)));
}
