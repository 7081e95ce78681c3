// Job mode `undefine`: gives the domain its definition back, with the disk on the side the guest is on.
import { StepFailed } from '../model/errors.ts';
import { sideOf } from '../observe/definitions.ts';
import { readDefinition } from '../observe/volumes.ts';
import type { Scene } from './act.ts';

/**
 * Defines the domain from what was kept and sets autostart as it was. A definition that gave the disk another image
 * than the guest's, or knew no such disk, keeps its own word. May be repeated.
 */
export async function restoreDefinition(scene: Scene, on: 'origin' | 'destination'): Promise<void> {
  const { context, move, observation } = scene;
  const saved = observation.saved;
  if (saved === undefined) throw new StepFailed('restore-definition', 'the definition kept aside is missing');
  const connection = await context.link.connection();
  const definition = await readDefinition(connection, saved.xml);
  const side = sideOf(definition, move);
  if (side !== on && (side === 'origin' || side === 'destination')) {
    const image = on === 'destination' ? move.destination : move.origin;
    definition.setDiskSource(move.disk, image.source, image.format);
  }
  const domain = await connection.defineDomainXml(definition.toString());
  if (saved.autostart) await domain.setAutostart(true);
}
