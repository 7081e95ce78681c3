// Job mode `undefine`: gives the domain its definition back, with the disk on the side the guest is on.
import { DomainXml } from '@blockferry/libvirt';
import { StepFailed } from '../model/errors.ts';
import type { Scene } from './act.ts';

/** Defines the domain from what the journal kept and sets autostart as it was. May be repeated. */
export async function restoreDefinition(scene: Scene, on: 'origin' | 'destination'): Promise<void> {
  const { context, move, observation } = scene;
  const saved = observation.saved;
  if (saved === undefined) throw new StepFailed('restore-definition', 'the definition kept aside is missing');
  const definition = DomainXml.parse(saved.xml);
  const image = on === 'destination' ? move.destination : move.origin;
  definition.setDiskSource(move.disk, image.source, image.format);
  const connection = await context.link.connection();
  const domain = await connection.defineDomainXml(definition.toString());
  if (saved.autostart) await domain.setAutostart(true);
}
