// Looking at every domain, whatever the looks take.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection, Domain } from '@blockferry/libvirt';
import { expect, it } from 'vitest';
import { ofEveryDomain } from './every-domain.ts';

const domains = Array.from({ length: 30 }, (_, id) => ({ id })) as unknown as Domain[];
const connection = { listAllDomains: async () => domains } as unknown as Connection;

it('finds all, in their order, and looks at no more than eight at once', async () => {
  let [now, most] = [0, 0];
  const found = await ofEveryDomain(connection, async ({ id }) => {
    most = Math.max(most, ++now);
    await sleep((id * 7) % 5);
    now -= 1;
    return id;
  });
  expect(found).toEqual(domains.map(({ id }) => id));
  expect(most).toBe(8);
});

it('begins no look after one that failed', async () => {
  const begun: number[] = [];
  const looking = ofEveryDomain(connection, async ({ id }) => {
    begun.push(id);
    await sleep(1);
    if (id === 3) throw new Error('gone');
  });
  await expect(looking).rejects.toThrow('gone');
  await sleep(20);
  expect(begun.length).toBeLessThan(domains.length);
});

it('finds nothing where there is no domain', async () => {
  expect(await ofEveryDomain(connection, async () => 1, [])).toEqual([]);
});
