// Makes the persistent definition name the image the guest is on; everything else in it stays as it is.
import { sameSource } from '@blockferry/libvirt';
import { backingToTell, refsOf } from '../storage/chain-refs.ts';
import type { Scene } from './act.ts';
import { redefine } from './redefine.ts';
import { definitionsOf } from './scene-domain.ts';

/** May be repeated. */
export async function fixDefinition(scene: Scene, on: 'origin' | 'destination'): Promise<void> {
  const { context, move } = scene;
  const { domain, live } = definitionsOf(scene);
  const image = on === 'destination' ? move.destination : move.origin;
  const disk = live?.disk(move.disk);
  const isThere = disk?.source !== undefined && sameSource(disk.source, image.source);
  const backing = isThere ? backingToTell(refsOf(disk).slice(1)) : undefined;
  await redefine(context, domain, [{ disk: move.disk, image, backing }]);
}
