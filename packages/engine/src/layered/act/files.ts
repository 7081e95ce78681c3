// Makes the files of a layered move, and knows them again: each name is taken empty and journaled before it is used.
import { dirname } from 'node:path';
import { FileError, type Host } from '@blockferry/qemu';
import { giveTo, likeFile } from '../../act/claim-destination.ts';
import { updateJournal } from '../../act/update-journal.ts';
import { StepFailed } from '../../model/errors.ts';
import type { ImageRef } from '../../model/record.ts';
import type { FileIdentity } from '../../record/journal.ts';
import type { Context } from '../../run/context.ts';
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
  const claims = await Promise.all(paths.map(async (path) => [path, await claim(host, path, like)] as const));
  const files = { ...scene.observation.journal?.files, ...Object.fromEntries(claims) };
  await updateJournal(scene, { ...scene.observation.journal, files });
  return files;
}

async function claim(
  host: Host,
  path: string,
  { mode, owner }: Awaited<ReturnType<typeof likeFile>>,
): Promise<FileIdentity> {
  await makeEmpty(host, path, mode);
  if (owner !== undefined) await giveTo(host, path, owner);
  const stat = await host.stat(path);
  if (stat === null) throw new StepFailed('claim-files', `${path} vanished as soon as it was made`);
  return { device: stat.device, inode: stat.inode };
}

type Files = Readonly<Record<string, FileIdentity>>;

async function makeEmpty(host: Host, path: string, mode: number): Promise<void> {
  try {
    await host.createExclusive(path, { mode });
  } catch (error) {
    if (!(error instanceof FileError) || error.code !== 'EEXIST') throw error;
    const stat = await host.stat(path);
    if (stat?.type === 'file' && stat.size === 0n) return;
    throw new StepFailed('claim-files', `${path} appeared meanwhile and is not ours`, { cause: error });
  }
}

/** fsync of a file and of the directory that names it. */
export async function syncFile(host: Host, path: string, timeoutMs: number): Promise<void> {
  const { code, stderr } = await host.run(['sync', '--', path, dirname(path)], { timeoutMs });
  if (code !== 0) throw new Error(`sync ${path}: ${stderr.trim()}`);
}
