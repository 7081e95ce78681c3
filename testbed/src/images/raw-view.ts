// Shows an image, with its backing chain, as a plain raw file to programs that know nothing of images.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type RunResult, run } from '../process/run.ts';

export type Image = { readonly path: string; readonly format: 'qcow2' | 'raw' };

const script = fileURLToPath(new URL('raw-view.sh', import.meta.url));

/**
 * Runs the command that `command` makes from the view's path, and returns when the image is written and closed.
 *
 * No machine may have the image open. Through qemu-storage-daemon's FUSE export: 50-100 ms. Needs root.
 * @throws {RunError} when the image cannot be opened or the command fails.
 */
export async function withRawView(
  image: Image,
  access: 'read' | 'write',
  command: (view: string) => readonly string[],
  input?: string,
): Promise<RunResult> {
  const view = await mkdtemp(join(tmpdir(), 'bf-view-'));
  const writable = access === 'write';
  const node = {
    driver: image.format,
    'node-name': 'view',
    'read-only': !writable,
    discard: 'unmap',
    file: { driver: 'file', filename: image.path, discard: 'unmap' },
  };
  const namespaces = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const argv = ['bash', script, view, String(writable), JSON.stringify(node), ...command(join(view, 'disk'))];
  try {
    return await run([...namespaces, ...argv], input === undefined ? {} : { input });
  } finally {
    await rm(view, { recursive: true, force: true });
  }
}
