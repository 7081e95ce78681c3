// Makes the files of a layered move, and knows them again: each name is taken empty and journaled before it is used.
import { dirname } from 'node:path';
import type { Host } from '@blockferry/qemu';
import { likeFile } from '../../act/claim-destination.ts';
import { takeName } from '../../act/take-name.ts';
import { updateJournal } from '../../act/update-journal.ts';
import { copyJournalPath } from '../../layers/index.ts';
import { StepFailed } from '../../model/errors.ts';
import type { ImageRef } from '../../model/record.ts';
import { allLayers } from '../../model/rounds.ts';
import type { FileIdentity } from '../../record/journal.ts';
import type { Context } from '../../run/context.ts';
import { layeredPart } from '../image-at.ts';
import type { LayeredScene } from './layered-scene.ts';

/** @throws StepFailed where no tools can be run on the host; preflight ruled that out */
export function hostOf({ context }: { readonly context: Pick<Context, 'host'> }): Host {
  if (context.host === undefined) throw new Error('strategy layered needs tools on the host');
  return context.host;
}

/** The path of an image that is a file. */
export function filePath({ source }: ImageRef): string | undefined {
  return source.kind === 'file' ? source.path : undefined;
}

/**
 * Takes the names that are free with empty files, like the source's in mode and owner, and journals what they are. A
 * crash between the two leaves empty files, which are taken the next time.
 *
 * @returns all files of the move as the journal has them now
 * @throws StepFailed when somebody else's file stands there
 */
export async function claimFiles(scene: LayeredScene, images: readonly ImageRef[]): Promise<Files> {
  const host = hostOf(scene);
  const like = await likeFile(host, scene.move.origin.source);
  const paths = images.flatMap((image) => filePath(image) ?? []);
  // Beside the carrier stands the journal of a copy that is no file, which is complete when the carrier is made.
  const copies = new Set(allLayers(layeredPart(scene.move)).map(({ to }) => filePath(to)));
  const claims = await Promise.all(
    paths.map(async (path) => {
      if (copies.has(path)) await dropStaleJournal(host, path);
      return [path, await takeName(host, path, like, failed)] as const;
    }),
  );
  const files = { ...scene.observation.journal?.files, ...Object.fromEntries(claims) };
  await updateJournal(scene, { ...scene.observation.journal, files });
  return files;
}

/** Of a copy that somebody has removed: a new file may get its inode, and would be taken for it. */
async function dropStaleJournal(host: Host, path: string): Promise<void> {
  const there = await host.stat(path);
  if (there === null || there.size === 0n) await host.unlink(copyJournalPath(path));
}

function failed(message: string, options?: ErrorOptions): StepFailed {
  return new StepFailed('claim-files', message, options);
}

type Files = Readonly<Record<string, FileIdentity>>;

/** fsync of a file and of the directory that names it. */
export async function syncFile(host: Host, path: string, timeoutMs: number): Promise<void> {
  const { code, stderr } = await host.run(['sync', '--', path, dirname(path)], { timeoutMs });
  if (code !== 0) throw new Error(`sync ${path}: ${stderr.trim()}`);
}
