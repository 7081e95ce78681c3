// Makes the persistent definition name the active image of the chain as it was, or as it is to be.
import { sameSource } from '@blockferry/libvirt';
import { redefine } from '../../act/redefine.ts';
import { definitionsOf } from '../../act/scene-domain.ts';
import { backingOfAll, backingToTell } from '../../storage/chain-refs.ts';
import { chainOn } from '../chain.ts';
import type { ShortenScene } from './scene.ts';

/** Formats that no header says must be said here. May be repeated. */
export async function defineOn(scene: ShortenScene, on: 'origin' | 'destination'): Promise<void> {
  const { context, move } = scene;
  const [image, ...below] = chainOn(move, on);
  if (image === undefined) throw new Error(`the record of ${move.id} has no chain`);
  const { undeclared = [] } = move;
  const isSilent = below.some((one) => undeclared.some(({ source }) => sameSource(source, one.source)));
  const backing = isSilent ? backingOfAll(below) : backingToTell(below);
  const change = { disk: move.disk, image, backing };
  await redefine(context, definitionsOf(scene).domain, [change]);
}
