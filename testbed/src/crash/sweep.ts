// Kills moves at given points, carries on one way or the other, and proves that the domain is whole.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { DomainXml } from '@blockferry/libvirt';
import type { Berth } from './berth.ts';
import type { Ferry, Halt, Result } from './ferry.ts';
import { chainOf, expectWhole } from './whole.ts';

/** How a killed move is carried on: by one of the two verbs, or by the very same command again. */
export type WayOut = 'resume' | 'abort' | 'move';

/** One way to kill a move. */
export type Crash = {
  readonly what: string;
  /** It kills itself at this point. */
  readonly halt?: Halt;
  /** It is killed when this returns. */
  readonly when?: (ferry: Ferry) => Promise<void>;
  /** Whether the check stops and starts the domain; see `Whole`. */
  readonly restart?: boolean;
};

/** Runs the move once, undisturbed: the points of the sweep come from what it passed. */
export async function courseOf(berth: Berth, options: readonly string[]): Promise<Ferry> {
  const before = await chainOf(berth.disk);
  const destination = berth.newPath();
  const ferry = berth.move(destination, options);
  assert.equal((await ferry.result()).outcome, 'moved');
  await expectMoved(berth, 'undisturbed', before, destination, options, true);
  return ferry;
}

/** Kills a move; `way` carries it on; the domain must be whole, and on the side that the way out promises. */
export async function crashAndCarryOn(
  berth: Berth,
  options: readonly string[],
  way: WayOut,
  crash: Crash,
): Promise<void> {
  const before = await chainOf(berth.disk);
  const destination = berth.newPath();
  await crashed(berth.move(destination, options, crash.halt), crash);
  const what = `${crash.what}, then ${way}`;
  const atDeath = await diskOf(berth);
  assert.ok(atDeath === berth.disk || atDeath === destination, `${what}: the guest is on one of the two`);
  const result = await carriedOn(berth, way, destination, options);
  if (movedBy(way, what, result, atDeath === destination)) {
    await expectMoved(berth, what, before, destination, options, crash.restart);
  } else await expectWhole(berth, what, { on: berth.disk, restart: crash.restart });
}

async function carriedOn(
  berth: Berth,
  way: WayOut,
  destination: string,
  options: readonly string[],
): Promise<Result> {
  switch (way) {
    case 'resume':
      return berth.resume().result();
    case 'abort':
      return berth.abort().result();
    case 'move':
      return berth.move(destination, options).result();
  }
}

async function crashed(ferry: Ferry, { when }: Crash): Promise<void> {
  if (when !== undefined) {
    await when(ferry);
    await ferry.kill();
  }
  await ferry.gone();
}

/** Is the result what the way out promises? Returns whether the guest must be on the destination now. */
function movedBy(way: WayOut, what: string, { outcome, error }: Result, pivoted: boolean): boolean {
  // Killed before anything was written, or after everything was done: there is no open move, and a disk that was
  // moved already cannot be moved to where it is.
  const nothingOpen = outcome === 'nothing' || error?.code === 'no-open-move';
  if (nothingOpen || (pivoted && error?.code === 'destination-is-source')) return pivoted;
  const expected = way !== 'abort' || pivoted ? 'moved' : 'back';
  assert.equal(outcome, expected, `${what}: ${JSON.stringify(error)}`);
  return expected === 'moved';
}

export async function expectMoved(
  berth: Berth,
  what: string,
  before: readonly string[],
  destination: string,
  options: readonly string[],
  restart: boolean | undefined,
): Promise<void> {
  const after = await chainOf(destination);
  assert.deepEqual(
    after.slice(1),
    options.includes('--flatten') ? [] : before.slice(1),
    `${what}: its chain`,
  );
  const left = before.filter((path) => !after.includes(path));
  const besides = options.includes('--delete-source') ? [] : left;
  await expectWhole(berth, what, { on: destination, besides, restart });
  for (const path of besides) await rm(path);
}

/** The image under the running guest, by libvirt's word. */
export async function diskOf(berth: Berth): Promise<string | undefined> {
  const source = DomainXml.parse(await berth.virsh('dumpxml')).disk('vda')?.source;
  return source?.kind === 'file' ? source.path : undefined;
}
