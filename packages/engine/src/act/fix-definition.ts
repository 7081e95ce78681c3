// Makes the persistent definition name the image the guest is on; everything else in it stays as it is.
import { DomainXml, DomainXmlFlags, sameSource } from '@blockferry/libvirt';
import { backingToTell, refsOf } from '../storage/chain-refs.ts';
import type { Scene } from './act.ts';
import { definitionsOf } from './scene-domain.ts';

/** Reads the persistent definition anew (with secrets, which would be lost otherwise), edits one disk, defines it. */
export async function fixDefinition(scene: Scene, on: 'origin' | 'destination'): Promise<void> {
  const { context, move } = scene;
  const { domain, live } = definitionsOf(scene);
  const definition = DomainXml.parse(
    await domain.getXmlDesc(DomainXmlFlags.INACTIVE | DomainXmlFlags.SECURE),
  );
  const image = on === 'destination' ? move.destination : move.origin;
  const disk = live?.disk(move.disk);
  const isThere = disk?.source !== undefined && sameSource(disk.source, image.source);
  const backing = isThere ? backingToTell(refsOf(disk).slice(1)) : undefined;
  definition.setDiskSource(move.disk, image.source, image.format, backing);
  const connection = await context.link.connection();
  await connection.defineDomainXml(definition.toString());
}
