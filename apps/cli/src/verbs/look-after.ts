// What can be seen once a move has ended: which image the guest runs on, and which sources are still there.
import { type Context, type MoveRecord, readDefinitions } from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';

/** The active image of the disk by the live definition; undefined when the domain is off or cannot be asked. */
export async function imageInUse(context: Context, move: MoveRecord): Promise<string | undefined> {
  try {
    const connection = await context.link.connection();
    const definitions = await readDefinitions(connection, move.domain.uuid);
    const source = definitions?.live?.disk(move.disk)?.source;
    return source && describeSource(source);
  } catch {
    // It was asked for after a failure, to say more about it; what failed is said in any case.
    return undefined;
  }
}

/** The sources that are still there. Those that cannot be looked at count as kept: nothing deletes them. */
export async function remainingSources(context: Context, move: MoveRecord): Promise<string[]> {
  const names: string[] = [];
  for (const { source } of move.sources) {
    const deleted =
      move.options.deleteSource &&
      source.kind === 'file' &&
      context.host !== undefined &&
      (await context.host.stat(source.path).catch(() => undefined)) === null;
    if (!deleted) names.push(describeSource(source));
  }
  return names;
}
