// A comparison says nothing of images that were written to meanwhile, and keeps nobody from writing.
import { faultyNbdServer } from '@blockferry/testbed';
import { expect, test } from 'vitest';
import { Bench } from '../layers/testing/bench.ts';
import { OpenMoves } from '../record/open-moves.ts';
import type { Context } from '../run/context.ts';
import { Link } from '../run/link.ts';
import { Knowledge } from './knowledge.ts';
import { mustHaveHeldStill, mustHoldStill } from './stillness.ts';
import { verifyChains } from './verify-chains.ts';

/** No libvirtd is there to be asked. */
function contextOf(bench: Bench): Context {
  const link = new Link(`qemu+unix:///system?socket=${bench.path('none')}`);
  return { link, host: bench.host, openMoves: new OpenMoves(bench.host, bench.path('state')) };
}

test('an image that somebody has open for writing is refused, whoever it is', async () => {
  await using bench = new Bench();
  const image = { image: bench.make('a b', 'raw', '1M'), stat: null };
  const knowledge = await Knowledge.ask(contextOf(bench), []);
  await using _ = await bench.openForWriting('a b');
  await expect(mustHoldStill(bench.host, knowledge, [image])).rejects.toMatchObject({
    code: 'image-in-use',
    message: expect.stringContaining(bench.path('a b')),
  });
});

test('one that was written to, or is open for writing, afterwards', async () => {
  await using bench = new Bench();
  const context = contextOf(bench);
  const images = [bench.make('a', 'raw', '1M'), bench.make('b', 'qcow2', '1M')];
  const opened = images.map((image) => ({ image, stat: null }));
  const knowledge = await Knowledge.ask(context, []);
  const still = await mustHoldStill(bench.host, knowledge, opened);
  await mustHaveHeldStill(context, bench.host, still);
  bench.write('b', 'qcow2', 'write -P 1 0 64k');
  const changed = { name: 'ImageChanged', message: expect.stringContaining(bench.path('b')) };
  await expect(mustHaveHeldStill(context, bench.host, still)).rejects.toMatchObject(changed);
  const again = await mustHoldStill(bench.host, knowledge, opened);
  await using _ = await bench.openForWriting('a');
  await expect(mustHaveHeldStill(context, bench.host, again)).rejects.toMatchObject({
    name: 'ImageChanged',
    message: expect.stringContaining('open for writing now'),
  });
});

test('one that cannot be read to its end is named, with the offset', async () => {
  await using bench = new Bench();
  bench.make('good', 'raw', '4M', 'write -P 1 0 4M');
  bench.run('cp', 'good', 'bad');
  await using server = await faultyNbdServer({ path: bench.path('bad'), failing: ['pread'] });
  await server.fail();
  const good = { kind: 'image', name: bench.path('good'), format: 'raw' } as const;
  const bad = { kind: 'image', name: `nbd+unix:///?socket=${bench.path('bad.nbd')}`, format: 'raw' } as const;
  const said: string[] = [];
  const work = verifyChains(
    contextOf(bench),
    { a: good, b: bad },
    {
      signal: AbortSignal.timeout(60_000),
      report: (report) => {
        if (report.type === 'warning') said.push(report.code);
      },
    },
  );
  await expect(work).rejects.toMatchObject({
    code: 'io-error',
    message: expect.stringMatching(/bad\.nbd: Error while reading offset 0: Input/),
  });
  // Nobody tells who writes to an export.
  expect(said).toEqual(['use-unknown']);
});
