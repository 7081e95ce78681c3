// Makes the persistent definition name one of the move's images; everything else in it stays as it is.
import { redefine } from '../../act/redefine.ts';
import { definitionsOf } from '../../act/scene-domain.ts';
import type { ImageRef, MoveRecord } from '../../model/record.ts';
import { backingToTell } from '../../storage/chain-refs.ts';
import { imagesBelow } from '../image-at.ts';
import type { LayeredScene } from './layered-scene.ts';

/** May be repeated. */
export async function defineOn(scene: LayeredScene, image: ImageRef): Promise<void> {
  await defineAll(scene, [{ move: scene.move, image }]);
}

/** The same for several disks of the domain at once. */
export async function defineAll(
  scene: LayeredScene,
  disks: readonly { readonly move: MoveRecord; readonly image: ImageRef }[],
): Promise<void> {
  const { domain } = definitionsOf(scene);
  const changes = disks.map(({ move, image }) => ({
    disk: move.disk,
    image,
    backing: backingToTell(imagesBelow(move, image)),
  }));
  await redefine(scene.context, domain, changes);
}
