// The watch over the guest's room: says what is scarce, and has only that guest go on that was stopped for want of it.
import { DomainPausedReason } from '@blockferry/libvirt';
import { beforeEach, describe, expect, test } from 'vitest';
import { layeredMove, qcow2 } from '../model/testing/layered-move.ts';
import { SpaceWatch, type Watched } from './watch.ts';

const MiB = 1024n * 1024n;
const { layered } = layeredMove();
const move = layeredMove({ layered: { ...layered, overlay: qcow2('/over/web.overlay') } });

/** Free bytes by directory, on file systems of 1000 MiB. */
let free: Record<string, bigint>;
let state: Awaited<ReturnType<Watched['domain']['getState']>>;
let errors: Awaited<ReturnType<Watched['domain']['diskErrors']>>;
let said: string[];
let scarce: boolean[];
let resumed: number;

beforeEach(() => {
  free = { '/old': 900n * MiB, '/over': 900n * MiB, '/new': 900n * MiB };
  state = { state: 'running', reason: 1 };
  errors = [];
  said = [];
  scarce = [];
  resumed = 0;
});

const host = {
  statfs: async (path: string) => ({ available: free[path] ?? 0n, total: 1000n * MiB, type: 'ext2/ext3' }),
  stat: async () => null,
};
const domain = {
  getState: async () => state,
  diskErrors: async () => errors,
  resume: async () => {
    resumed += 1;
    state = { state: 'running', reason: 1 };
  },
};

function watch(): (place?: Watched['place']) => Promise<void> {
  const watching = new SpaceWatch(
    host,
    (code) => said.push(code),
    (is) => scarce.push(is),
  );
  return (place = 'overlay') =>
    watching.lookNow({ move, place, domain, copied: undefined, etaMs: undefined });
}

const STOPPED = { state: 'paused', reason: DomainPausedReason.IOERROR } as const;
const NO_SPACE = [{ disk: 'vda', error: 'noSpace' }] as const;

test('room that is nearly gone is said once, and hurries the copy', async () => {
  const look = watch();
  await look();
  expect({ said, scarce }).toEqual({ said: [], scarce: [false] });
  free['/over'] = 49n * MiB;
  await look();
  await look();
  expect({ said, scarce }).toEqual({ said: ['overlay-low'], scarce: [false, true, true] });
});

describe('a guest that was stopped for want of room', () => {
  beforeEach(() => {
    state = STOPPED;
    errors = NO_SPACE;
    free['/over'] = 0n;
  });

  test('goes on when there is some', async () => {
    const look = watch();
    await look();
    await look();
    expect({ said, resumed }).toEqual({ said: ['overlay-low', 'guest-stopped'], resumed: 0 });
    free['/over'] = 100n * MiB;
    await look();
    expect({ said: said.at(-1), resumed }).toEqual({ said: 'guest-resumed', resumed: 1 });
  });

  test('goes on where the move has taken it', async () => {
    await watch()('carrier');
    expect({ said, resumed }).toEqual({ said: ['guest-resumed'], resumed: 1 });
  });

  test('is tried once on another image, room or not', async () => {
    free['/old'] = 0n;
    const look = watch();
    await look();
    await look('origin');
    expect({ said: said.at(-1), resumed }).toEqual({ said: 'guest-resumed', resumed: 1 });
    state = STOPPED;
    await look('origin');
    expect(resumed).toBe(1);
  });

  test('is left alone on an image that is none of the move', async () => {
    await watch()('elsewhere');
    expect({ said, resumed }).toEqual({ said: [], resumed: 0 });
  });
});

test.each([
  ['paused by its operator', { state: 'paused', reason: DomainPausedReason.USER }, NO_SPACE],
  ['stopped for another disk', STOPPED, [{ disk: 'vdb', error: 'noSpace' }]],
  ['stopped by storage that fails', STOPPED, [{ disk: 'vda', error: 'unspecified' }]],
] as const)('a guest that was %s stays so', async (_, is, has) => {
  state = is;
  errors = has;
  await watch()();
  expect({ said, resumed }).toEqual({ said: [], resumed: 0 });
});
