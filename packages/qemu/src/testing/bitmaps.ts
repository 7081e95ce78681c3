// What a persistent bitmap recorded, and images whose QEMU died.
import { execFileSync } from 'node:child_process';
import { startQemuNbd } from './nbd-server.ts';

/** The parts that a bitmap has marked, each as its offset and length in MiB. The image must not be in use. */
export function recorded(path: string, bitmap: string): readonly (readonly [number, number])[] {
  const server = ['[', 'qemu-nbd', '-r', '-f', 'qcow2', '-B', bitmap, path, ']'];
  const said = execFileSync('nbdinfo', ['--json', `--map=qemu:dirty-bitmap:${bitmap}`, '--', ...server], {
    encoding: 'utf8',
  });
  const extents: { offset: number; length: number; type: number }[] = JSON.parse(said);
  return extents
    .filter(({ type }) => type === 1)
    .map(({ offset, length }) => [offset / 2 ** 20, length / 2 ** 20] as const);
}

/** Opens an image for writing and kills whoever has it: its enabled bitmaps are in use for ever. */
export async function killWhileOpen(path: string): Promise<void> {
  const socket = `${path}.socket`;
  await using _ = await startQemuNbd(path, socket, '', 'qcow2');
  // It listens before it opens the image; once it answers, it has.
  execFileSync('nbdinfo', ['--size', `nbd+unix:///?socket=${socket}`], { stdio: 'pipe' });
}
