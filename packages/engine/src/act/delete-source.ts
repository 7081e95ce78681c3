// --delete-source: removes the images the guest has left, where nobody else uses them.
import { describeSource } from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';
import { copyJournalPath } from '../layers/index.ts';
import type { Seen } from '../observe/seen.ts';
import { readUsage, usesOf } from '../observe/usage.ts';
import { heldBySnapshots, settleSnapshots } from '../snapshots/index.ts';
import type { Scene } from './act.ts';

/**
 * Deletes each source that no domain's live or persistent chain and no snapshot on the host uses. What is used, or may
 * be used because a chain could not be read, is kept and reported. Snapshots that can come along have done so before.
 * Done again from its beginning if libvirtd or the way to the host is lost meanwhile.
 */
export async function deleteSource(scene: Scene<Seen>): Promise<void> {
  const { context, move, memory, warn } = scene;
  const connection = await context.link.connection();
  await settleSnapshots(scene);
  const sources = move.sources.map(({ source }) => source);
  const usage = await readUsage(connection, context.host, sources);
  const held = await heldBySnapshots(connection, context.host, sources);
  for (const [index, source] of sources.entries()) {
    const name = describeSource(source);
    const use = usesOf(usage, source)[0];
    if (held[index] !== undefined) warn('source-in-use', `${name} is kept: ${held[index]}`);
    else if (use !== undefined) {
      warn(
        'source-in-use',
        `${name} is kept: ${use.domain} uses it for ${use.disk} (${use.definition} definition)`,
      );
    } else if (usage.unknown.length > 0) {
      const [first] = usage.unknown;
      warn(
        'source-use-unknown',
        `${name} is kept: what ${first?.domain} uses for ${first?.disk} is not known (${first?.why})`,
      );
    } else if (source.kind !== 'file' || context.host === undefined) {
      warn('source-not-a-file', `${name} is kept: only files are deleted`);
    } else if (await isLink(context.host, source.path)) {
      warn('source-not-a-file', `${name} is kept: it is a symbolic link, and only files are deleted`);
    } else {
      await context.host.unlink(source.path);
      // The next copy of that name is another one.
      await context.host.unlink(copyJournalPath(source.path));
    }
  }
  memory.sourcesSeenTo = true;
}

/** Without it, what it leads to would stay behind under a name that nobody was told. */
async function isLink(host: Host, path: string): Promise<boolean> {
  return (await host.stat(path, { followSymlinks: false }))?.type === 'symlink';
}
