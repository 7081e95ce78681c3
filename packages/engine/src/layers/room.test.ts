// The copying is paused while there is no room, and goes on by itself.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { Room } from './room.ts';

function roomOf(hasRoom: () => Promise<boolean>) {
  const told: boolean[] = [];
  const ending = new AbortController();
  const room = new Room({ hasRoom, signal: ending.signal, onWait: (waits) => told.push(waits) });
  return { room, told, ending };
}

test('nothing is begun before there is room', async () => {
  let left = false;
  const { room, told } = roomOf(async () => left);
  let begun = false;
  const waiting = room.there().then(() => {
    begun = true;
  });
  await vi.waitFor(() => expect(told).toEqual([true]));
  expect(begun).toBe(false);
  left = true;
  await waiting;
  expect(told).toEqual([true, false]);
});

test('what is being written is paused, and goes on', async () => {
  let left = false;
  const { room, told } = roomOf(async () => left);
  const { promise: writing, resolve: finish } = Promise.withResolvers<void>();
  const said: string[] = [];
  const job = {
    pause: async () => {
      said.push('pause');
      left = true;
    },
    resume: async () => {
      said.push('resume');
      finish();
    },
  };
  await room.during(writing, job);
  expect({ said, told }).toEqual({ said: ['pause', 'resume'], told: [true, false] });
});

test('one that could not be told to go on is told again', async () => {
  let left = false;
  const { room } = roomOf(async () => left);
  const { promise: writing, resolve: finish } = Promise.withResolvers<void>();
  let tries = 0;
  const job = {
    pause: async () => {
      left = true;
      throw new Error('no answer within 30 s');
    },
    resume: async () => {
      tries += 1;
      if (tries === 1) throw new Error('no answer within 30 s');
      finish();
    },
  };
  await room.during(writing, job);
  expect(tries).toBe(2);
});

test('storage that does not tell, or a look that fails, holds nothing up', async () => {
  const { room, told } = roomOf(() => Promise.reject(new Error('no answer')));
  await room.there();
  expect(told).toEqual([]);
});

test('whoever stops the copy does not wait for room', async () => {
  const { room, ending } = roomOf(async () => false);
  const waiting = room.there();
  await sleep(1);
  ending.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow();
});

test('a job that fails fails, room or not', async () => {
  const { room } = roomOf(async () => true);
  const job = { pause: async () => {}, resume: async () => {} };
  await expect(room.during(Promise.reject(new Error('EIO')), job)).rejects.toThrow('EIO');
});
